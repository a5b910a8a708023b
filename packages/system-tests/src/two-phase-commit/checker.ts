import type { TwoPhaseHistory } from './history.ts'
import { balances, total } from './plan.ts'

/** What a two-phase commit must never do. */
export const breachKinds = ['half', 'negative', 'open', 'entry-left', 'false-end', 'unseen-sum', 'again'] as const

export type BreachKind = (typeof breachKinds)[number]

export interface Breach {
  readonly kind: BreachKind
  readonly text: string
}

type Rule = (history: TwoPhaseHistory) => string[]

/** Each says everything that is wrong in its way. */
const rules: Readonly<Record<BreachKind, Rule>> = {
  half: history => {
    const due = dueOf(history)
    const wrong = history.accounts.filter(({ _id, balance }) => balance !== due.get(_id))
    return wrong.map(({ _id, balance }) => `${_id} has ${balance}, what was done makes ${due.get(_id)}`)
  },
  negative: ({ accounts }) =>
    accounts.filter(({ balance }) => balance < 0).map(({ _id, balance }) => `${_id} has ${balance}`),
  open: ({ transactions }) =>
    transactions
      .filter(({ state }) => state !== 'done' && state !== 'canceled')
      .map(({ id, state }) => `${id} is still ${state}`),
  'entry-left': ({ accounts }) =>
    accounts.flatMap(({ _id, pendingTransactions = [] }) =>
      pendingTransactions.map(({ id }) => `${_id} has an entry of ${id}`),
    ),
  'false-end': ({ told, transactions }) => {
    const states = new Map(transactions.map(({ id, state }) => [id, state]))
    return told
      .filter(({ id, state }) => states.get(id) !== state)
      .map(({ id, state }) => `${id} was told as ${state}, and is ${states.get(id)}`)
  },
  'unseen-sum': ({ sums }) =>
    [...new Set(sums)].filter(sum => sum !== total).map(sum => `${sum} was seen, not ${total}`),
  again: ({ takenAgain }) => (takenAgain > 0 ? [`a second recovery took up ${takenAgain}`] : []),
}

function dueOf({ plans, transactions }: TwoPhaseHistory): ReadonlyMap<string, number> {
  const due = new Map(Object.entries(balances))
  const done = new Set(transactions.filter(({ state }) => state === 'done').map(({ id }) => id))
  for (const { id, from, to, amount } of plans) {
    if (!done.has(id)) continue
    due.set(from, (due.get(from) ?? 0) - amount)
    due.set(to, (due.get(to) ?? 0) + amount)
  }
  return due
}

/** Compares the documents with what their transactions have come to; an empty list is a sound round. */
export function findBreaches(history: TwoPhaseHistory): Breach[] {
  return breachKinds.flatMap(kind => rules[kind](history).map(text => ({ kind, text })))
}
