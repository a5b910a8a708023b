import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Outcome } from '../outcome.ts'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, allHungIn, counted } from './verdict.ts'

// A worker process writes every root's document in one transaction and is killed inside it. The roots write their documents
// when it is gone. The server knows nothing of its end: it keeps the transaction, and the documents locked, until that
// is older than 60 s and a sweep finds it. With levels the processes that are left end its sessions.

const takeOverMsMax = 20_000
/** The server's own limit, and the time until its sweep: with `none` nothing else frees the documents. */
const serverEndsMs = { min: 55_000, max: 95_000 }
const killed = 'the holder is gone'
const documents = /^held-/
const documentOf = (root: number) => `held-${root}`

const hold = defineJob({ name: 'killed-holder.hold', input: z.object({}), output: z.object({}) })

/** A job whose process died is run again by another, which has to live. */
async function isFirst(stage: Stage): Promise<boolean> {
  const { upsertedCount } = await stage.raw.updateOne({ _id: 'holder' }, { $inc: { writes: 1 } }, { upsert: true })
  return upsertedCount === 1
}

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const { deadlineMs } = settings
  const ms = counted(outcome, 'takeOverMs')
  if (isIsolated(settings)) {
    const late = ms > takeOverMsMax ? [`the take-over took ${ms} ms, promised are ${takeOverMsMax} ms`] : []
    return [...allCompleted(outcome, settings), ...late]
  }
  if (deadlineMs < serverEndsMs.min) return allHungIn('LOCK_WAIT', outcome, settings)
  const early = ms > 0 && ms < serverEndsMs.min ? [`something freed the documents after ${ms} ms`] : []
  return deadlineMs < serverEndsMs.max ? early : [...allCompleted(outcome, settings), ...early]
}

export const killedHolder: Scenario = {
  name: 'killed-holder',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  counts: ['takeOverMs'],
  needsLifetime: true,
  // The take-over takes longer than the product's default.
  lockWaitMs: ({ deadlineMs }) => deadlineMs,
  // Their calls need a worker that is left.
  processesWithStrangers: 3,
  strangersMayFail: true,
  refuse: ({ processes }) => (processes === 1 ? 'a worker process is killed: give --processes 2 or more' : undefined),
  hazard: 'a process is killed inside a transaction, and its documents stay locked (Z20)',
  promise: settings => {
    if (isIsolated(settings))
      return `all roots complete: the killed process's sessions are ended within ${takeOverMsMax} ms`
    return settings.deadlineMs < serverEndsMs.max
      ? 'roots hang in LOCK_WAIT; with --deadline-ms 100000 they complete after 60 to 90 s, when the server ends the transaction'
      : 'all roots complete after 60 to 90 s, when the server ends the transaction'
  },
  judge,
  prepare: async stage => {
    const roots = Array.from({ length: stage.settings.roots }, (_, root) => root)
    await stage.raw.insertMany(roots.map(root => ({ _id: documentOf(root), writes: 0 })))
  },
  work: (handlers, stage) => {
    handlers.handle(hold, async () => {
      if (!(await isFirst(stage))) return {}
      return await stage.transaction(async () => {
        await stage.documents.updateMany({ _id: documents }, { $inc: { writes: 1 } })
        stage.report.kill('self', killed)
        return await new Promise<never>(() => {})
      })
    })
  },
  beside: async stage => {
    await stage.db.run(() => stage.queues.push(hold, {}), { name: 'holder' })
  },
  root: async (stage, root) => {
    await stage.gates.wait(killed)
    const begun = performance.now()
    await stage.unit(root, () => stage.write(documentOf(root)))
    stage.longest('takeOverMs', performance.now() - begun)
  },
}
