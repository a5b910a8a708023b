import { defineJob } from '@strata/queue'
import { z } from 'zod'
import { isIsolated, type Scenario } from './scenario.ts'
import { allRefused } from './verdict.ts'

// Order of waits. A job at level 1 asks for its call to run at level 1 too, beside itself: it would wait for a slot of the very
// lane in which it keeps one. Such a wait is refused whether or not a slot is free at that moment.

const output = z.object({})
const outer = defineJob({ name: 'order.outer', input: z.object({}), output })
const inner = defineJob({ name: 'order.inner', input: z.object({}), output })

export const order: Scenario = {
  name: 'order',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 2 },
  hazard: 'a job at level 1 awaits another one at level 1 (Z6)',
  promise: settings =>
    `all roots fail with LEVEL_ORDER, refused within 100 ms${isIsolated(settings) ? '' : ', without levels as well'}`,
  judge: (outcome, settings) => allRefused('LEVEL_ORDER', outcome, settings),
  work: (handlers, stage) => {
    handlers.handle(outer, async () => {
      await stage.refusedCall('LEVEL_ORDER', () => stage.call(inner, {}, 1))
      return {}
    })
    handlers.handle(inner, async () => ({}))
  },
  root: (stage, root) =>
    stage.unit(root, async () => {
      await stage.call(outer, {})
    }),
}
