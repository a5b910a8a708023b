import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Stage } from '../process/stage.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, someHungIn } from './verdict.ts'

// A root is a trio: a transaction T on level 0 that has written document X and awaits a job J; and a stranger's job S in
// another queue, whose caller holds nothing, that writes X plainly. S is called after T has written, J after S's write
// is under way.
// Order of waits. T waits for J. J needs a connection of the worker process at level 1. S keeps the last one while the server
// lets it wait for X, which T holds. The levels are in order: T is above both jobs. What closes the circle is the
// document. The cure is that a blocked write lets go of its connection every so often (slices), and J gets its turn.

const documentOf = (root: number) => `stranger-${root}`
const writtenBy = (root: number) => `transaction ${root} has written`
const blockedBy = (root: number) => `stranger ${root} is under way`

const input = z.object({ root: z.number() })
const output = z.object({})
const statement = defineJob({ name: 'blocked-stranger.statement', input, output })
const stranger = defineJob({ name: 'blocked-stranger.write', input, output })

function transaction(stage: Stage, root: number): Promise<void> {
  return stage.unit(root, () =>
    stage.transaction(async () => {
      await stage.write(documentOf(root))
      stage.gates.open(writtenBy(root))
      await stage.gates.wait(blockedBy(root))
      await stage.call(statement, { root })
    }),
  )
}

async function callStranger(stage: Stage, root: number): Promise<void> {
  await stage.gates.wait(writtenBy(root))
  await stage.unit(root, () => stage.call(stranger, { root }))
}

export const blockedStranger: Scenario = {
  name: 'blocked-stranger',
  scarce: 'pool',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  refuse: ({ isolation, topology }) =>
    isolation === 'levels' && topology === 'load-balanced'
      ? 'with levels it is promised on a replica set only: behind a load balancer writes are not sent in slices'
      : undefined,
  hazard:
    "a stranger's write waits for a transaction's document, on the last connection that the transaction's job needs (Z12)",
  promise: settings =>
    isIsolated(settings)
      ? 'all trios complete: a write that is blocked by a document lets go of its connection every so often'
      : 'trios hang in POOL_WAIT: a blocked write keeps its connection for as long as it waits',
  judge: (outcome, settings) =>
    isIsolated(settings) ? allCompleted(outcome, settings) : someHungIn('POOL_WAIT', outcome),
  prepare: async stage => {
    const roots = Array.from({ length: stage.settings.roots }, (_, root) => root)
    await stage.raw.insertMany(roots.map(root => ({ _id: documentOf(root), writes: 0 })))
  },
  work: (handlers, stage) => {
    handlers.handle(statement, async ({ root }) => {
      await stage.documents.findOne({ _id: documentOf(root) })
      return {}
    })
    handlers.handle(stranger, async ({ root }) => {
      await stage.writeThenOpen(documentOf(root), blockedBy(root))
      return {}
    })
  },
  root: async (stage, root) => {
    await Promise.all([transaction(stage, root), callStranger(stage, root)])
  },
}
