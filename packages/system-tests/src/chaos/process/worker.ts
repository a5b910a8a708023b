import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { StrataError } from '@strata/db-context'
import { createQueues, createWorker } from '@strata/queue'
import { HistoryFile } from '../history.ts'
import { type CallPlan, pausedCode, refusedCode } from '../plan.ts'
import { type Passing, workJob } from '../work.ts'
import { Calls } from './calls.ts'
import type { Hold } from './messages.ts'
import { perform } from './performer.ts'

/** A sleep that took this much longer than it was to: the process was stopped. */
const pauseMsMin = 500

/** What the handler says of itself in an error of its own: a part that it has applied is not undone. */
const outcomeOf = ({ child }: CallPlan) => ({ outcome: child ? 'unknown' : 'not-applied' }) as const

async function rest(plan: CallPlan, signal: AbortSignal): Promise<void> {
  const { sleepMs, mindsPauses } = plan
  const begun = performance.now()
  await sleep(sleepMs, undefined, { signal })
  if (!mindsPauses || performance.now() - begun - sleepMs < pauseMsMin) return
  throw new StrataError(pausedCode, 'Work was interrupted for longer than it can bear, and undone', outcomeOf(plan))
}

/** A process that runs jobs, and makes calls from inside them. It keeps what it did in the history before it says so. */
perform(async ({ db, data, place, serving, tell }) => {
  const { redis, prefix } = place
  const history = new HistoryFile(place.history)
  let held: Hold | undefined
  const passing: Passing = async (point, id) => {
    if (held?.point !== point || held.id !== id) return
    tell({ told: 'reached', prefix })
    await new Promise(() => {})
  }
  const job = workJob(passing)
  const report = () => {}
  const queues = createQueues({ db, redis, prefix, report })
  const calls = new Calls({ queues, job, history })
  const { slots, stalled, stopMs } = serving
  const worker = createWorker({ db, redis, prefix, lanes: { slots }, stalled, report })
  worker.handle(job, async (plan, { signal, job: { attemptsStarted: attempt } }) => {
    const { id } = plan
    history.write({ row: 'begun', id, pid: process.pid, at: Date.now(), attempt })
    await passing('during', id)
    if (plan.child) {
      // Also to a datasource, as handlers do: what a line in a file means Strata cannot know.
      await data.add(id)
      await history.keep({ row: 'part', id, pid: process.pid, at: Date.now(), attempt })
      await calls.make({ ...plan.child, id: `${plan.child.id}.${attempt}` }, true)
    }
    await rest(plan, signal)
    if (plan.isRefused) throw new StrataError(refusedCode, 'Refused as it was planned', outcomeOf(plan))
    const stamp = randomUUID()
    await history.keep({ row: 'applied', id, pid: process.pid, at: Date.now(), attempt, stamp })
    return { id, stamp, text: 'x'.repeat(plan.bytes) }
  })
  await Promise.all([worker.start(), queues.start()])
  const close = async (deadlineMs: number) => {
    await worker.stop({ deadlineMs })
    await queues.stop({ deadlineMs: 500 })
  }
  const onTerminate = () => {
    close(stopMs).then(
      () => process.exit(0),
      () => process.exit(1),
    )
  }
  process.once('SIGTERM', onTerminate)
  return {
    hold: next => {
      held = next
    },
    close: async () => {
      process.off('SIGTERM', onTerminate)
      await close(2000)
    },
  }
})
