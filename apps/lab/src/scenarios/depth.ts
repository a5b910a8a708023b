import { defineJob } from '@strata/queue'
import { z } from 'zod'
import { isIsolated, type Scenario } from './scenario.ts'
import { allRefused } from './verdict.ts'

// Order of waits. Each job awaits the next one without end. Every level takes a slot, so somewhere the chain has to be cut: at
// the limit, at once, with an error that travels back up to the root.

const step = defineJob({ name: 'depth.step', input: z.object({}), output: z.object({}) })

export const depth: Scenario = {
  name: 'depth',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 2 },
  hazard: 'a chain of calls that goes deeper than the limit (Z5)',
  promise: settings =>
    `all roots fail with LEVEL_LIMIT, refused within 100 ms${isIsolated(settings) ? '' : ', without levels as well'}`,
  judge: (outcome, settings) => allRefused('LEVEL_LIMIT', outcome, settings),
  work: (handlers, stage) => {
    handlers.handle(step, async () => {
      const isDeepest = stage.db.current.level === stage.settings.depth
      const call = () => stage.call(step, {})
      await (isDeepest ? stage.refusedCall('LEVEL_LIMIT', call) : call())
      return {}
    })
  },
  root: (stage, root) =>
    stage.unit(root, async () => {
      await stage.call(step, {})
    }),
}
