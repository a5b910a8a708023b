import { defineJob } from '@strata/queue'
import { z } from 'zod'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, someHungIn } from './verdict.ts'

// Order of waits. A root waits for a job; that job keeps its worker slot and waits for another job of the same queue, down to
// the leaf. Without levels both are in one lane: the second can only start in the slot that the first keeps.

const step = defineJob({ name: 'slots.step', input: z.object({ level: z.number() }), output: z.object({}) })

export const slots: Scenario = {
  name: 'slots',
  scarce: 'lanes',
  topology: 'replica-set',
  depth: { min: 2, default: 2 },
  hazard: 'a job keeps the worker slot that the job it awaits needs (Z4)',
  promise: settings =>
    isIsolated(settings)
      ? 'all roots complete: every level has slots of its own'
      : 'roots hang in LANE_WAIT: one lane serves all levels, and jobs that wait fill it',
  judge: (outcome, settings) =>
    isIsolated(settings) ? allCompleted(outcome, settings) : someHungIn('LANE_WAIT', outcome),
  work: (handlers, stage) => {
    handlers.handle(step, async ({ level }) => {
      if (level < stage.settings.depth) await stage.call(step, { level: level + 1 })
      return {}
    })
  },
  root: (stage, root) =>
    stage.unit(root, async () => {
      await stage.call(step, { level: 1 })
    }),
}
