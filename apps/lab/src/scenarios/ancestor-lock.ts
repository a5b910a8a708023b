import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Stage } from '../process/stage.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allHungIn, allRefused } from './verdict.ts'

// Order of waits. A transaction writes document X and awaits deeper work that writes X as well: that waits for the transaction,
// which waits for it. No order of pools and lanes helps, and the server says nothing for a minute. Of even roots the
// deeper work is a job in another process, of odd ones it is in the same process, one level deeper.

const code = 'ANCESTOR_LOCK'
const limitMs = 2000

const write = defineJob({
  name: 'ancestor-lock.write',
  input: z.object({ root: z.number() }),
  output: z.object({}),
})
const documentOf = (root: number) => `ancestor-${root}`

/** Writes the transaction's document below it. */
const deeper = (stage: Stage, root: number): Promise<unknown> =>
  root % 2 === 0 ? stage.call(write, { root }) : stage.db.switchDbIsolate(() => stage.write(documentOf(root)))

export const ancestorLock: Scenario = {
  name: 'ancestor-lock',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  hazard: 'work writes what the transaction that awaits it has written (Z7)',
  promise: settings =>
    isIsolated(settings)
      ? `all roots fail with ${code}, told within ${limitMs} ms`
      : 'all roots hang in LOCK_WAIT: each transaction waits for work that waits for it',
  judge: (outcome, settings) =>
    isIsolated(settings) ? allRefused(code, outcome, settings, limitMs) : allHungIn('LOCK_WAIT', outcome, settings),
  prepare: async stage => {
    const roots = Array.from({ length: stage.settings.roots }, (_, root) => root)
    await stage.raw.insertMany(roots.map(root => ({ _id: documentOf(root), writes: 0 })))
  },
  work: (handlers, stage) => {
    handlers.handle(write, async ({ root }) => {
      await stage.write(documentOf(root))
      return {}
    })
  },
  root: (stage, root) =>
    stage.unit(root, () =>
      stage.transaction(async () => {
        await stage.write(documentOf(root))
        await stage.refusedCall(code, () => deeper(stage, root))
      }),
    ),
}
