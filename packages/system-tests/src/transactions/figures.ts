import { type Breach, type BreachKind, breachKinds, unknownCode } from './checker.ts'
import type { TransactionFault } from './fault.ts'
import type { History } from './history.ts'

/** What rounds of one fault have shown, added up. */
export interface Figures {
  readonly rounds: number
  /** What was broken: commands, replies, or the primary. */
  readonly struck: number
  readonly transactions: number
  readonly committed: number
  /** Bodies that were run, all attempts together. */
  readonly bodies: number
  /** Ends after which nobody knows whether the transaction was committed, and of how many of those it was. */
  readonly unknown: number
  readonly unknownThere: number
  readonly codes: Readonly<Record<string, number>>
  readonly breaches: Readonly<Record<BreachKind, number>>
}

type Sum = 'rounds' | 'struck' | 'transactions' | 'committed' | 'bodies' | 'unknown' | 'unknownThere'

/** The figures of one round. */
export function figuresOf({ stories, found }: History, breaches: readonly Breach[], struck: number): Figures {
  const unknown = stories.filter(({ ended }) => ended?.code === unknownCode)
  return {
    rounds: 1,
    struck,
    transactions: stories.length,
    committed: stories.filter(({ ended }) => ended?.outcome === 'applied').length,
    bodies: stories.reduce((sum, { bodies }) => sum + bodies, 0),
    unknown: unknown.length,
    unknownThere: unknown.filter(({ plan }) => (found.get(plan.id)?.counter ?? 0) > 0).length,
    codes: count(stories.flatMap(({ ended }) => ended?.code ?? [])),
    breaches: { ...noBreaches(), ...count(breaches.map(({ kind }) => kind)) },
  }
}

export function addFigures(one: Figures, other: Figures): Figures {
  const sum = (key: Sum) => one[key] + other[key]
  return {
    rounds: sum('rounds'),
    struck: sum('struck'),
    transactions: sum('transactions'),
    committed: sum('committed'),
    bodies: sum('bodies'),
    unknown: sum('unknown'),
    unknownThere: sum('unknownThere'),
    codes: add(one.codes, other.codes),
    breaches: { ...noBreaches(), ...add(one.breaches, other.breaches) },
  }
}

/** A table in Markdown, a fault a row, for the page of faults. */
export function printFigures(all: ReadonlyMap<TransactionFault, Figures>): string {
  const head = [
    'fault',
    'rounds',
    'struck',
    'transactions',
    'bodies',
    'committed',
    'errors by code',
    'unknown, of them there',
  ]
  const rows = [...all].map(([{ name }, figures]) => [
    `\`${name}\``,
    figures.rounds,
    figures.struck,
    figures.transactions,
    figures.bodies,
    figures.committed,
    Object.entries(figures.codes)
      .sort()
      .map(([code, number]) => `${code} ${number}`)
      .join(', '),
    `${figures.unknown}, ${figures.unknownThere}`,
    ...breachKinds.map(kind => figures.breaches[kind]),
  ])
  const whole = [...head, ...breachKinds]
  return [whole, whole.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function count(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function add(one: Readonly<Record<string, number>>, other: Readonly<Record<string, number>>): Record<string, number> {
  const sum = { ...one }
  for (const [name, number] of Object.entries(other)) sum[name] = (sum[name] ?? 0) + number
  return sum
}

const noBreaches = () => Object.fromEntries(breachKinds.map(kind => [kind, 0])) as Record<BreachKind, number>
