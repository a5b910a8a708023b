import type { Explanation, Found, History, Story } from './history.ts'
import { refusedName } from './history.ts'

/** What a transaction must never do; see the page of its faults. */
export const breachKinds = [
  'hang',
  'false-applied',
  'false-not-applied',
  'torn',
  'doubled',
  'job-doubled',
  'job-lost',
  'false-hook',
  'unexplained',
  'held',
] as const

export type BreachKind = (typeof breachKinds)[number]

export interface Breach {
  readonly kind: BreachKind
  /** Of the transaction; undefined where it is about the whole round. */
  readonly id: string | undefined
  readonly text: string
}

/** Past its deadline a commit that was sent is still waited for: two tries of the driver, each until its socket gives up. */
const overtimeMsMax = 30_000

/** The only error after which nobody knows whether the transaction itself was committed. */
export const unknownCode = 'COMMIT_UNKNOWN'

/** One transaction: what was told of it beside what is there. */
interface Case {
  readonly story: Story
  readonly found: Found
  readonly explains: Explanation
}

type Rule = (one: Case) => string | undefined

const isThere = ({ counter, documents }: Found) => counter + documents > 0

/** Each says what is wrong, or nothing. */
const rules: Readonly<Record<Exclude<BreachKind, 'held'>, Rule>> = {
  hang: ({ story: { plan, ended } }) => {
    if (!ended) return 'never ended'
    const overMs = Math.round(ended.ranMs - plan.deadlineMs)
    return overMs > overtimeMsMax ? `ended ${overMs} ms after its deadline` : undefined
  },
  'false-applied': ({ story: { ended }, found }) =>
    ended?.outcome === 'applied' && !isThere(found) ? 'was told as committed, and nothing of it is there' : undefined,
  'false-not-applied': ({ story: { ended }, found }) =>
    ended?.outcome === 'not-applied' && isThere(found)
      ? `was told as not-applied (${ended.code}), and is there`
      : undefined,
  torn: ({ found }) =>
    found.counter > 0 === found.documents > 0 ? undefined : `is there by half: ${JSON.stringify(found)}`,
  doubled: ({ found }) =>
    Math.max(found.counter, found.documents) > 1 ? `is there ${JSON.stringify(found)} times` : undefined,
  'job-doubled': ({ story: { jobs } }) => {
    const index = jobs.findIndex(runs => runs.length > 1)
    return index < 0 ? undefined : `had the job of its call ${index} run ${jobs[index]?.length} times`
  },
  'job-lost': ({ story: { ended, jobs, results } }) => {
    if (ended?.outcome !== 'applied') return undefined
    const index = jobs.findIndex((runs, call) => !runs.includes(results[call] ?? ''))
    return index < 0 ? undefined : `was committed with a result of its call ${index} that no job of it has given`
  },
  'false-hook': one => hookRule(one),
  unexplained: ({ story: { plan, ended }, explains }) => {
    if (ended?.code === undefined) return plan.isRefused && ended ? 'was committed although its body threw' : undefined
    const explained = [...explains.any, ...(plan.isHurried ? explains.hurried : [])]
    if (explained.includes(ended.code) || (plan.isRefused && ended.code === refusedName)) return undefined
    return `ended with ${ended.code} (${ended.outcome}), which this fault does not explain: ${ended.message}`
  },
}

/** Exactly one hook for an end that is known, of a body that came to register it; none for one that is not. */
function hookRule({ story: { ended, hooks, bodies }, found }: Case): string | undefined {
  if (!ended) return undefined
  const seen = hooks.join(', ') || 'no hook'
  if (hooks.includes('afterCommit') && !isThere(found)) return 'ran afterCommit, and nothing of it is there'
  if (hooks.includes('afterRollback') && isThere(found)) return 'ran afterRollback, and is there'
  if (ended.outcome === 'applied') return seen === 'afterCommit' ? undefined : `was committed and ran ${seen}`
  if (ended.code === unknownCode) return hooks.length === 0 ? undefined : `ended in doubt and ran ${seen}`
  const expected = bodies > 0 ? 'afterRollback' : 'no hook'
  return seen === expected ? undefined : `was rolled back (${ended.code}) and ran ${seen}`
}

/** Compares what was told with what is there; an empty list is a sound round. */
export function findBreaches(history: History): Breach[] {
  const { stories, found, explains, held } = history
  const breaches = stories.flatMap(story => {
    const one = { story, found: found.get(story.plan.id) ?? { counter: 0, documents: 0 }, explains }
    return Object.entries(rules).flatMap(([kind, rule]) => {
      const text = rule(one)
      return text === undefined ? [] : [{ kind: kind as BreachKind, id: story.plan.id, text }]
    })
  })
  return [
    ...breaches,
    ...sharedBreaches(history),
    ...held.map(text => ({ kind: 'held', id: undefined, text }) as const),
  ]
}

/** The document that several write has to say the same as the documents of each. */
function sharedBreaches({ stories, found, sharedCounter }: History): Breach[] {
  const there = stories.filter(
    ({ plan }) => plan.isShared && isThere(found.get(plan.id) ?? { counter: 0, documents: 0 }),
  )
  if (sharedCounter === there.length) return []
  const kind = sharedCounter > there.length ? 'doubled' : 'torn'
  const text = `the shared counter is ${sharedCounter}, of the transactions that raise it ${there.length} are there`
  return [{ kind, id: undefined, text }]
}

const printedMax = 5

/** The first breaches with all that is known of their transactions, for whoever looks for the cause. */
export function printBreaches(breaches: readonly Breach[], { stories, found }: History): string[] {
  const printed = breaches.slice(0, printedMax).map(({ kind, id, text }) => {
    if (id === undefined) return `${kind}: ${text}`
    const story = JSON.stringify(stories.find(({ plan }) => plan.id === id))
    return `${kind}: transaction ${id} ${text}\n  ${story}\n  found ${JSON.stringify(found.get(id))}`
  })
  return breaches.length > printedMax ? [...printed, `${breaches.length} in all`] : printed
}
