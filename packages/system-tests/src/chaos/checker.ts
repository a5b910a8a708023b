import { type Applied, type Ended, type History, type Part, type Recorded, rowsOf, type Sent } from './history.ts'

/** What a call must never do; see the page of faults. */
export const breachKinds = [
  'hang',
  'lost',
  'false-failure',
  'false-not-applied',
  'wrong-result',
  'unexplained',
  'started-late',
] as const

export type BreachKind = (typeof breachKinds)[number]

export interface Breach {
  readonly kind: BreachKind
  readonly id: string
  readonly text: string
}

const printedMax = 5

/** The first breaches with all that is known of their calls, for whoever looks for the cause. */
export function printBreaches(breaches: readonly Breach[], history: History): string[] {
  if (breaches.length === 0) return []
  const { outages, killed } = history
  const first = breaches.slice(0, printedMax).map(breach => printBreach(breach, history))
  return [...first, `${breaches.length} in all; ${JSON.stringify({ outages, killed: [...killed] })}`]
}

function printBreach({ kind, id, text }: Breach, { rows, records }: History): string {
  const story = rows.filter(row => row.id === id || row.id.startsWith(`${id}.`)).map(row => JSON.stringify(row))
  return [`${kind}: call ${id} ${text}`, ...story, `record ${JSON.stringify(records.get(id))}`].join('\n  ')
}

/** A call may take this long past its deadline, in time in which its process runs. */
const overtimeMsMax = 1000

/** A process that has not been heard of for this long has its jobs left alone; and what a look at that may take. */
const leaseMs = 15_000
const leaseSlackMs = 300

/** A record this young may have been written while the answer to a look was on its way. */
const lookMs = 100

/** Codes of a caller that gave up: they say nothing of how the job ended, or will. */
const gaveUp = new Set(['CALL_TIMEOUT', 'CALL_ABORTED', 'RESULT_LOST'])

/** Everything known of one call. */
interface Story {
  readonly sent: Sent
  readonly ended: Ended | undefined
  readonly applied: readonly Applied[]
  readonly parts: readonly Part[]
  readonly record: Recorded | undefined
  readonly history: History
}

type Rule = (story: Story) => string | undefined

/** Each says what is wrong, or nothing. */
const rules: Readonly<Record<Exclude<BreachKind, 'started-late'>, Rule>> = {
  hang: ({ sent, ended, history }) => {
    if (!ended) return history.killed.has(sent.pid) ? undefined : 'never ended'
    const overMs = ended.ranMs - sent.deadlineMs
    return overMs > overtimeMsMax ? `ended ${Math.round(overMs)} ms after its deadline` : undefined
  },
  lost: story => {
    const { ended, record } = story
    if (!ended?.code || !gaveUp.has(ended.code) || record?.state !== 'completed') return undefined
    if (record.finishedAt > couldBeKnownBy(story) || isInOutage(story)) return undefined
    return `ended with ${ended.code} ${ended.at - record.finishedAt} ms after its job was recorded as completed`
  },
  'false-failure': ({ ended, record }) => {
    if (!ended?.code || gaveUp.has(ended.code) || record?.state !== 'completed') return undefined
    return `ended with ${ended.code}, its job is recorded as completed`
  },
  'false-not-applied': ({ ended, applied, parts }) => {
    if (ended?.outcome !== 'not-applied' || applied.length + parts.length === 0) return undefined
    return `ended with ${ended.code} as not-applied, and was applied ${applied.length} times, a part of it ${parts.length} times`
  },
  'wrong-result': ({ sent, ended, applied }) => {
    if (!ended || ended.code !== undefined) return undefined
    if (!applied.some(({ stamp }) => stamp === ended.stamp)) return 'ended with a result that nobody has applied'
    return ended.bytes === sent.bytes ? undefined : `ended with ${ended.bytes} of ${sent.bytes} bytes`
  },
  unexplained: story => {
    const { sent, ended, history } = story
    const explained = [...sent.expects, ...history.explains[sent.isNested ? 'nested' : 'call']]
    if (!ended?.code || explained.includes(ended.code)) return undefined
    if (ended.code === 'CALL_TIMEOUT' && isInOutage(story)) return undefined
    return `ended with ${ended.code} (${ended.outcome}), which this fault does not explain`
  },
}

/** Compares what callers were told with what was done and recorded; an empty list is a sound round. */
export function findBreaches(history: History): Breach[] {
  const breaches = storiesOf(history).flatMap(story =>
    Object.entries(rules).flatMap(([kind, rule]) => {
      const text = rule(story)
      return text === undefined ? [] : [{ kind: kind as BreachKind, id: story.sent.id, text }]
    }),
  )
  return [...breaches, ...startedLate(history)]
}

function storiesOf(history: History): Story[] {
  const ended = new Map(rowsOf(history.rows, 'ended').map(row => [row.id, row]))
  const applied = Map.groupBy(rowsOf(history.rows, 'applied'), ({ id }) => id)
  const parts = Map.groupBy(rowsOf(history.rows, 'part'), ({ id }) => id)
  return rowsOf(history.rows, 'sent').map(sent => {
    const { id } = sent
    const done = { applied: applied.get(id) ?? [], parts: parts.get(id) ?? [] }
    return { sent, ended: ended.get(id), ...done, record: history.records.get(id), history }
  })
}

/** The caller looks last at its deadline; one whose process was paused looks when it runs again, a second before its end at most. */
function couldBeKnownBy({ sent, ended }: Story): number {
  const endedAt = ended?.at ?? Number.POSITIVE_INFINITY
  return Math.max(Math.min(endedAt, sent.at + sent.deadlineMs) - lookMs, endedAt - overtimeMsMax)
}

/** Whether Redis was away at some time in the second in which the caller asked it last. */
function isInOutage({ ended, history }: Story): boolean {
  const at = ended?.at ?? 0
  return history.outages.some(({ from, to }) => from <= at && to >= at - overtimeMsMax)
}

/** Handlers of calls whose caller had long been dead. */
function startedLate(history: History): Breach[] {
  const pids = new Map(rowsOf(history.rows, 'sent').map(({ id, pid }) => [id, pid]))
  return rowsOf(history.rows, 'begun').flatMap(({ id, at }) => {
    const killedAt = history.killed.get(pids.get(id) ?? 0)
    if (killedAt === undefined || at <= killedAt + leaseMs + leaseSlackMs) return []
    return [{ kind: 'started-late', id, text: `began ${at - killedAt} ms after its caller was killed` } as const]
  })
}
