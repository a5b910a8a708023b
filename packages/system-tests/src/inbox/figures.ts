import { type Breach, type BreachKind, breachKinds } from './checker.ts'
import type { InboxHistory } from './history.ts'

/** What rounds of one fault have shown, added up. */
export interface Figures {
  readonly rounds: number
  readonly messages: number
  readonly deliveries: number
  readonly effects: number
  /** Deliveries that were told of a message beside its first. */
  readonly stored: number
  readonly runsAfter: number
  readonly breaches: Readonly<Record<BreachKind, number>>
}

const numbers = ['rounds', 'messages', 'deliveries', 'effects', 'stored', 'runsAfter'] as const

export function figuresOf(history: InboxHistory, breaches: readonly Breach[]): Figures {
  const { messages, effects, told, runsAfter } = history
  const answered = told.filter(each => 'stamp' in each)
  return {
    rounds: 1,
    messages: messages.length,
    deliveries: told.length,
    effects: effects.length,
    stored: answered.length - new Set(answered.map(({ message }) => message)).size,
    runsAfter,
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

/** A table in Markdown, a fault a row, for the page of the inbox. */
export function printFigures(all: ReadonlyMap<string, Figures>): string {
  const head = ['fault', 'rounds', 'messages', 'deliveries', 'effects', 'told again', 'run afterwards', ...breachKinds]
  const rows = [...all].map(([name, figures]) => [
    `\`${name}\``,
    ...numbers.map(number => figures[number]),
    ...breachKinds.map(kind => figures.breaches[kind]),
  ])
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

const perKind = (count: (kind: BreachKind) => number) =>
  Object.fromEntries(breachKinds.map(kind => [kind, count(kind)])) as Record<BreachKind, number>
