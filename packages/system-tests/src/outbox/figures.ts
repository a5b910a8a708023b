import { type Breach, type BreachKind, breachKinds } from './checker.ts'
import { duplicatesOf, type OutboxHistory } from './history.ts'

/** What rounds of one fault have shown, added up. */
export interface Figures {
  readonly rounds: number
  readonly strikes: number
  readonly committed: number
  readonly sent: number
  readonly duplicates: number
  /** Handlers that ran again for a push that had run. */
  readonly runsAgain: number
  /** Jobs that Redis took and lost in a failover. */
  readonly lostByRedis: number
  readonly breaches: Readonly<Record<BreachKind, number>>
}

const numbers = ['rounds', 'strikes', 'committed', 'sent', 'duplicates', 'runsAgain', 'lostByRedis'] as const

export function figuresOf(history: OutboxHistory, breaches: readonly Breach[], strikes: number): Figures {
  const { kept, sent, runs, lostByRedis } = history
  return {
    rounds: 1,
    strikes,
    committed: kept.length,
    sent: new Set(sent.map(({ job }) => job)).size,
    duplicates: duplicatesOf(history),
    runsAgain: [...runs.values()].reduce((sum, times) => sum + times - 1, 0),
    lostByRedis: lostByRedis?.size ?? 0,
    breaches: perKind(kind => breaches.filter(breach => breach.kind === kind).length),
  }
}

export function addFigures(one: Figures, other: Figures): Figures {
  const sums = Object.fromEntries(numbers.map(name => [name, one[name] + other[name]]))
  return {
    ...(sums as Record<(typeof numbers)[number], number>),
    breaches: perKind(kind => one.breaches[kind] + other.breaches[kind]),
  }
}

/** A table in Markdown, a fault a row, for the page of the outbox. */
export function printFigures(all: ReadonlyMap<string, Figures>): string {
  const head = [
    'fault',
    'rounds',
    'kills',
    'pushes committed',
    'sent',
    'sent again',
    'run again',
    'lost by Redis',
    ...breachKinds,
  ]
  const rows = [...all].map(([name, figures]) => [
    `\`${name}\``,
    ...numbers.map(number => figures[number]),
    ...breachKinds.map(kind => figures.breaches[kind]),
  ])
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

const perKind = (count: (kind: BreachKind) => number) =>
  Object.fromEntries(breachKinds.map(kind => [kind, count(kind)])) as Record<BreachKind, number>
