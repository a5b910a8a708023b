import { defineJob } from '@strata/queue'
import { until } from '@strata/testkit'
import { z } from 'zod'
import type { Outcome } from '../outcome.ts'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, counted } from './verdict.ts'

// Every root is a transaction that pushes a job under a key; every fifth rolls back. The first half is committed by a worker process
// that is killed between these commits and their publication; the others by the API process, when that one is gone. With levels an
// outbox is wired, and what the dead process has not published another one relays. Without, its pushes are lost with it.

const killed = 'the committing process is gone'
const keys = 3
/** For the lease and the time that a row is left to its own process, on a busy machine. */
const relayMsMax = 15_000
/** Without an outbox nobody would send anything later. */
const lostMs = 2000

const committedId = (root: number) => `committed-${root}`
const keyOf = (root: number) => `key-${root % keys}`
const lastId = (key: string) => `last-${key}`

const commitFirstHalf = defineJob({ name: 'outbox.commit', input: z.object({}), output: z.object({}) })
const follow = defineJob({
  name: 'outbox.follow',
  input: z.object({ root: z.number(), seq: z.number() }),
  output: z.object({}),
})

class RolledBack extends Error {}

const isFirstHalf = (root: number, { roots }: Settings) => root < roots / 2
const rollsBack = (root: number) => root % 5 === 4

/** @param committed called once it has committed, before anything of it is published */
async function commitAndPush(stage: Stage, root: number, committed: () => Promise<void> | void): Promise<void> {
  const key = keyOf(root)
  await stage
    .transaction(async () => {
      stage.db.transaction.afterCommit(committed)
      // Transactions of one key conflict here: the numbers are the order of their commits, whatever publishes.
      const counter = await stage.documents.findOneAndUpdate(
        { _id: key },
        { $inc: { writes: 1 } },
        { returnDocument: 'after' },
      )
      await stage.documents.insertOne({ _id: committedId(root), writes: 1 })
      const order = stage.outbox ? { key, ordered: true } : {}
      await stage.queues.push(follow, { root, seq: counter?.writes ?? 0 }, order)
      if (rollsBack(root)) throw new RolledBack()
    })
    .catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw error
    })
}

/** Commits the first half, publishes nothing, and is killed. */
async function commitAndDie(stage: Stage): Promise<never> {
  const { upsertedCount } = await stage.raw.updateOne({ _id: 'first' }, { $inc: { writes: 1 } }, { upsert: true })
  if (upsertedCount !== 1) throw new Error('The job that was to die with its process was run again')
  const roots = Array.from({ length: stage.settings.roots }, (_, root) => root)
  const never = new Promise<never>(() => {})
  for (const root of roots.filter(each => isFirstHalf(each, stage.settings))) {
    const committed = Promise.withResolvers<void>()
    const ended = commitAndPush(stage, root, () => {
      committed.resolve()
      return never
    })
    await Promise.race([committed.promise, ended])
  }
  stage.report.kill('self', killed)
  return await never
}

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const wrong = [...allCompleted(outcome, settings)]
  const [committed, delivered] = [counted(outcome, 'committed'), counted(outcome, 'delivered')]
  if (!isIsolated(settings)) {
    return delivered < committed ? wrong : [...wrong, `delivered is ${delivered}, promised are less than ${committed}`]
  }
  if (delivered !== committed) wrong.push(`delivered is ${delivered}, promised is ${committed}, all that is committed`)
  for (const name of ['duplicates', 'outOfOrder']) {
    if (counted(outcome, name) > 0) wrong.push(`${name} is ${counted(outcome, name)}, promised is 0`)
  }
  return wrong
}

export const outbox: Scenario = {
  name: 'outbox',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  counts: ['committed', 'delivered', 'duplicates', 'outOfOrder'],
  followsCommits: true,
  // All want one of three documents, one after the other.
  lockWaitMs: ({ deadlineMs }) => deadlineMs,
  processes: 3,
  strangersMayFail: true,
  refuse: ({ processes }) =>
    processes < 3 ? 'a worker process is killed and another one delivers: give --processes 3 or more' : undefined,
  hazard: 'a process is killed between its commits and what it was to send after them (honest ends)',
  promise: settings =>
    isIsolated(settings)
      ? 'all roots complete, and every push of a committed one is delivered once and in the order of its key'
      : 'no outbox is wired: the pushes of the killed process are lost, delivered < committed',
  judge,
  prepare: async stage => {
    await stage.outbox?.ensureIndexes()
    const names = Array.from({ length: keys }, (_, root) => keyOf(root))
    await stage.raw.insertMany(names.flatMap(key => [key, lastId(key)]).map(_id => ({ _id, writes: 0 })))
  },
  work: (handlers, stage) => {
    stage.outbox?.start()
    handlers.handle(commitFirstHalf, () => commitAndDie(stage))
    handlers.handle(follow, async ({ root, seq }) => {
      const last = await stage.raw.findOneAndUpdate({ _id: lastId(keyOf(root)) }, { $max: { writes: seq } })
      if ((last?.writes ?? 0) > seq) stage.count('outOfOrder')
      await stage.raw.updateOne({ _id: `delivered-${root}` }, { $inc: { writes: 1 } }, { upsert: true })
      return {}
    })
  },
  beside: async stage => {
    await stage.db.run(() => stage.queues.push(commitFirstHalf, {}), { name: 'committer' })
  },
  root: async (stage, root) => {
    await stage.gates.wait(killed)
    if (isFirstHalf(root, stage.settings)) return
    await stage.unit(root, () => commitAndPush(stage, root, () => {}))
  },
  // The dead process's own job would be run again once it counts as stalled, long after the run.
  quiet: stage => stage.queues.queue(commitFirstHalf).obliterate({ force: true }),
  check: async stage => {
    const committed = await stage.raw.countDocuments({ _id: /^committed-/ })
    const areAllThere = async () => (await stage.raw.countDocuments({ _id: /^delivered-/ })) >= committed
    const deadlineMs = stage.outbox ? relayMsMax : lostMs
    await until(areAllThere, { deadlineMs, message: 'all deliveries', everyMs: 50 }).catch(() => {})
    stage.count('committed', committed)
    for await (const { writes } of stage.raw.find({ _id: /^delivered-/ })) {
      stage.count('delivered')
      stage.count('duplicates', writes - 1)
    }
  },
}
