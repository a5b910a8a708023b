import { defineJob } from '@strata/queue'
import { z } from 'zod'
import { isIsolated, type Scenario } from './scenario.ts'
import { allRefused, counted } from './verdict.ts'

// Order of waits. A transaction pushes a job and awaits its result: the job is added when the transaction commits, and that
// waits for the job. No circle of resources is needed for it, so it is refused with levels and without.

const code = 'AWAIT_BEFORE_COMMIT'

const pushed = defineJob({ name: 'await-before-commit.pushed', input: z.object({}), output: z.object({}) })

export const awaitBeforeCommit: Scenario = {
  name: 'await-before-commit',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  counts: ['jobsRun'],
  hazard: 'a transaction awaits a job that its own commit publishes (Z8)',
  promise: settings =>
    `all roots fail with ${code}, refused within 100 ms, and no job runs${isIsolated(settings) ? '' : ', without levels as well'}`,
  judge: (outcome, settings) => {
    const wrong = allRefused(code, outcome, settings)
    const ran = counted(outcome, 'jobsRun')
    return ran === 0 ? wrong : [...wrong, `${ran} jobs ran whose transactions were rolled back`]
  },
  work: (handlers, stage) => {
    handlers.handle(pushed, async () => {
      stage.count('jobsRun')
      return {}
    })
  },
  root: (stage, root) =>
    stage.unit(root, () =>
      stage.transaction(async () => {
        const { result } = await stage.queues.push(pushed, {})
        await stage.refusedCall(code, () => result())
      }),
    ),
}
