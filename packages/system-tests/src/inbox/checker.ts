import type { InboxHistory, Stamped } from './history.ts'

/** What an inbox, or a key of a request, must never do. */
export const breachKinds = ['lost', 'doubled', 'unanswered', 'wrong-result', 'claimed', 'held'] as const

export type BreachKind = (typeof breachKinds)[number]

export interface Breach {
  readonly kind: BreachKind
  readonly text: string
}

type Rule = (history: InboxHistory) => string[]

/** Each says everything that is wrong in its way. */
const rules: Readonly<Record<BreachKind, Rule>> = {
  lost: ({ messages, effects }) => {
    const had = new Set(effects.map(({ message }) => message))
    return messages.filter(message => !had.has(message)).map(message => `${message} has had no effect`)
  },
  doubled: ({ effects }) => {
    const had = new Set<string>()
    const again = effects.filter(({ message }) => had.size === had.add(message).size)
    return again.map(({ message }) => `${message} has had its effect more than once`)
  },
  unanswered: ({ deliveries, told }) => {
    const failed = told.flatMap(each =>
      'code' in each ? [`a delivery of ${each.message} ended with ${each.code}`] : [],
    )
    const answered = told.length >= deliveries ? [] : [`${deliveries - told.length} deliveries never ended`]
    return [...failed, ...answered]
  },
  'wrong-result': ({ effects, told, rows }) => {
    const stamped = (each: object): each is Stamped => 'stamp' in each
    const made = new Set(effects.map(keyOf))
    return [...told, ...rows]
      .filter(stamped)
      .filter(each => !made.has(keyOf(each)))
      .map(({ message, stamp }) => `${message} is told as ${stamp}, which is no effect of it`)
  },
  claimed: ({ messages, rows, open }) => {
    const counts = Map.groupBy(rows, ({ message }) => message)
    const strange = rows.filter(({ message }) => !messages.includes(message))
    const wrong = messages.filter(message => counts.get(message)?.length !== 1)
    return [
      ...strange.map(({ message }) => `a row is there of ${message}, which nobody sent`),
      ...wrong.map(message => `${message} has ${counts.get(message)?.length ?? 0} rows`),
      ...rows.filter(({ stamp }) => stamp === undefined).map(({ message }) => `${message} has a row without a result`),
      ...(open > 0 ? [`${open} transactions are left open`] : []),
    ]
  },
  held: ({ held }) => (held > 0 ? [`${held} slots could not be filled any more`] : []),
}

const keyOf = ({ message, stamp }: Stamped) => `${message} ${stamp}`

/** Compares what came of messages with what was told of them; an empty list is a sound round. */
export function findBreaches(history: InboxHistory): Breach[] {
  return breachKinds.flatMap(kind => rules[kind](history).map(text => ({ kind, text })))
}

const printedMax = 5

export function printBreaches(breaches: readonly Breach[]): string[] {
  const printed = breaches.slice(0, printedMax).map(({ kind, text }) => `${kind}: ${text}`)
  return breaches.length > printedMax ? [...printed, `${breaches.length} in all`] : printed
}
