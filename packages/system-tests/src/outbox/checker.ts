import { duplicatesOf, type Kept, type OutboxHistory } from './history.ts'

/** What an outbox must never do. */
export const breachKinds = [
  'lost',
  'phantom',
  'out-of-order',
  'doubled',
  'no-effect',
  'two-effects',
  'false-end',
  'left',
] as const

export type BreachKind = (typeof breachKinds)[number]

export interface Breach {
  readonly kind: BreachKind
  readonly text: string
}

type Rule = (history: OutboxHistory) => string[]

/** Each says everything that is wrong in its way. */
const rules: Readonly<Record<BreachKind, Rule>> = {
  lost: ({ kept, sent }) => {
    const arrived = new Set(sent.map(({ job }) => job))
    return kept.filter(({ job }) => !arrived.has(job)).map(({ _id }) => `${_id} was committed and never sent`)
  },
  phantom: ({ kept, sent }) => {
    const committed = new Set(kept.map(({ job }) => job))
    const strange = new Set(sent.map(({ job }) => job).filter(job => !committed.has(job)))
    return [...strange].map(job => `job ${job} was sent, and nothing committed it`)
  },
  'out-of-order': history => disorder(history),
  doubled: history => {
    const duplicates = duplicatesOf(history)
    const { duplicatesMax } = history
    return duplicates > duplicatesMax ? [`${duplicates} were sent again, crashes explain ${duplicatesMax}`] : []
  },
  'no-effect': ({ kept, effects, lostByRedis }) => {
    const had = new Set(effects)
    const missing = kept.filter(({ _id, job }) => !had.has(_id) && !lostByRedis?.has(job))
    return missing.map(({ _id }) => `${_id} was committed and has had no effect`)
  },
  'two-effects': ({ effects }) => {
    const had = new Set<string>()
    const again = effects.filter(push => had.size === had.add(push).size)
    return again.map(push => `${push} has had its effect more than once`)
  },
  'false-end': ({ kept, told }) => {
    const there = new Set(kept.map(({ transaction }) => transaction))
    return told
      .filter(({ transaction, outcome }) => outcome !== 'unknown' && (outcome === 'applied') !== there.has(transaction))
      .map(({ transaction, outcome }) => `${transaction} was told as ${outcome}, which it is not`)
  },
  left: ({ left }) => (left > 0 ? [`${left} rows are left that nobody publishes`] : []),
}

/** By the first time that each came to the queue: what is sent again comes late, and is the same job. */
function disorder({ kept, sent }: OutboxHistory): string[] {
  const ofJob = new Map<string, Kept>(kept.map(each => [each.job, each]))
  const last = new Map<string, Kept>()
  const wrong: string[] = []
  for (const job of new Set(sent.map(each => each.job))) {
    const one = ofJob.get(job)
    if (one?.key === undefined) continue
    const before = last.get(one.key)
    if (before && before.seq > one.seq) wrong.push(`${one.key}: number ${one.seq} was sent after number ${before.seq}`)
    else last.set(one.key, one)
  }
  return wrong
}

/** Compares what was committed with what was sent; an empty list is a sound round. */
export function findBreaches(history: OutboxHistory): Breach[] {
  return breachKinds.flatMap(kind => rules[kind](history).map(text => ({ kind, text })))
}

const printedMax = 5

export function printBreaches(breaches: readonly Breach[]): string[] {
  const printed = breaches.slice(0, printedMax).map(({ kind, text }) => `${kind}: ${text}`)
  return breaches.length > printedMax ? [...printed, `${breaches.length} in all`] : printed
}
