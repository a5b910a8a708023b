import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from '@strata/queue'
import { z } from 'zod'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, allHungIn } from './verdict.ts'

// Order of waits. A thousand pushed jobs of 100 ms wait when the roots call the same job. No circle closes, but a caller keeps
// its connections and its patience: behind the backlog every call outlives its deadline. With levels the calls of a
// queue have a lane of their own beside the pushes, with slots of its own.

/** One slot works through the backlog in 100 s, five times the default deadline. */
const backlogJobs = 1000
const pushedMs = 100
const calledMs = 1

const work = defineJob({ name: 'backlog.work', input: z.object({ ms: z.number() }), output: z.object({}) })

export const backlog: Scenario = {
  name: 'backlog',
  scarce: 'lanes',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  hazard: `calls wait behind ${backlogJobs} pushed jobs of the same kind (Z27)`,
  promise: settings =>
    isIsolated(settings)
      ? 'all roots complete at once: calls have a lane beside the pushes'
      : 'all roots hang in LANE_WAIT: calls queue behind the pushes',
  judge: (outcome, settings) =>
    isIsolated(settings) ? allCompleted(outcome, settings) : allHungIn('LANE_WAIT', outcome, settings),
  prepare: async stage => {
    const pushes = Array.from({ length: backlogJobs }, () => stage.queues.push(work, { ms: pushedMs }))
    await Promise.all(pushes)
  },
  quiet: stage => stage.queues.queue(work).drain(),
  work: handlers => {
    handlers.handle(work, async ({ ms }) => {
      await pause(ms)
      return {}
    })
  },
  root: (stage, root) =>
    stage.unit(root, async () => {
      await stage.call(work, { ms: calledMs })
    }),
}
