import { until } from '@strata/testkit'
import type { ClientSession } from 'mongodb'
import { countCodes, type Outcome } from '../outcome.ts'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted } from './verdict.ts'

// Slow operations at level 1, one for each connection of a pool: updates of documents that a transaction of the raw driver
// holds until the gate opens. They write many documents in the server's eyes, so they are not sent in slices and keep
// their connections. The roots are the others: each makes one statement at level 2 when the slow ones are under way.
// Order of waits. Nobody waits in a circle: what is shown is who has to wait for whose pace. The gate opens when every root
// has finished or is seen to wait for a connection.

const levelOfSlow = 1
const levelOfOthers = 2
const started = 'the slow operations are under way'
const slowDocument = (index: number) => `slow-${index}`
const sharedDocument = 'shared'

/** Updates a held document and notes its chain in `slow`; resolves when the gate has opened. */
function slowOperation(stage: Stage, id: string, slow: Set<string>): Promise<void> {
  const update = async (): Promise<void> => {
    await stage.documents.updateMany({ _id: id }, { $inc: { writes: 1 } }, { maxTimeMS: stage.limits.waitMs })
  }
  const run = () => {
    slow.add(stage.db.current.chain[0].id)
    return stage.db.switchDb(update, { level: levelOfSlow })
  }
  return stage.db.run(run, { name: 'slow operation' })
}

async function besideRoots(stage: Stage, session: ClientSession): Promise<void> {
  const ids = Array.from({ length: stage.settings.pool }, (_, index) => slowDocument(index))
  session.startTransaction()
  await stage.raw.updateMany({ _id: { $in: ids } }, { $inc: { writes: 1 } }, { session })
  const slow = new Set<string>()
  const operations = Promise.all(ids.map(id => slowOperation(stage, id, slow)))
  operations.catch(() => {})
  const running = () => stage.db.activities().filter(({ phase, root }) => phase === 'running' && slow.has(root)).length
  const { waitMs: deadlineMs } = stage.limits
  await until(() => running() === ids.length, { deadlineMs, message: 'the slow operations', everyMs: 1 })
  stage.gates.open(started)
  await until(() => isEveryRootSeen(stage), { deadlineMs, message: 'the roots to finish or wait', everyMs: 1 })
  const waiting = [...waitingRoots(stage)].map(() => 'POOL_WAIT')
  stage.report.beforeGate({ completed: stage.ended.size, symptoms: countCodes(waiting) })
  await session.abortTransaction()
  await operations
}

const isEveryRootSeen = (stage: Stage): boolean =>
  new Set([...stage.ended, ...waitingRoots(stage)]).size === stage.settings.roots

function waitingRoots(stage: Stage): Set<number> {
  const waiting = new Set<number>()
  for (const { phase, root: chain } of stage.db.activities()) {
    const root = stage.units.get(chain)
    if (root !== undefined && (phase === 'queued' || phase === 'connecting')) waiting.add(root)
  }
  return waiting
}

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const { beforeGate } = outcome
  if (beforeGate === undefined) return ['the gate never opened']
  const wrong = [...allCompleted(outcome, settings)]
  const finished = `${beforeGate.completed} of ${settings.roots} roots finished before the gate opened`
  const expected = isIsolated(settings) ? settings.roots : 0
  if (beforeGate.completed !== expected) wrong.push(`${finished}, promised were ${expected}`)
  return wrong
}

export const longOperation: Scenario = {
  name: 'long-operation',
  scarce: 'pool',
  topology: 'replica-set',
  depth: { min: 2, default: 2 },
  hazard: 'slow operations on every connection make everybody else wait for their end (Z3)',
  promise: settings =>
    isIsolated(settings)
      ? 'all roots finish while the slow operations go on: they are on another level'
      : 'no root finishes before the slow operations end: all wait for their connections (POOL_WAIT)',
  judge,
  prepare: async stage => {
    const ids = Array.from({ length: stage.settings.pool }, (_, index) => slowDocument(index))
    await stage.raw.insertMany([...ids, sharedDocument].map(_id => ({ _id, writes: 0 })))
  },
  beside: async stage => {
    await stage.rawClient.withSession(session => besideRoots(stage, session))
  },
  root: async (stage, root) => {
    await stage.gates.wait(started)
    const statement = async (): Promise<void> => {
      await stage.documents.findOne({ _id: sharedDocument })
    }
    await stage.unit(root, () => stage.db.switchDb(statement, { level: levelOfOthers }))
  },
}
