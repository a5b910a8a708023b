import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Stage } from '../process/stage.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, allHungIn } from './verdict.ts'

// A root is a pair of chains: one transaction writes X and awaits a job that writes Y, the other writes Y and awaits a job that
// writes X. Both jobs are called after both transactions have written.
// Order of waits. Each chain waits for a document of the other. Nothing orders documents, so the wait is bounded: after
// `lockWaitMs` a call fails, its transaction rolls back and runs again after a random pause, and the other chain goes through.

const write = defineJob({ name: 'crossed.write', input: z.object({ id: z.string() }), output: z.object({}) })

const sides = ['x', 'y'] as const
type Side = (typeof sides)[number]
const other = (side: Side): Side => (side === 'x' ? 'y' : 'x')
const documentOf = (side: Side, root: number) => `crossed-${side}-${root}`
const writtenBy = (side: Side, root: number) => `chain ${side} of ${root} has written`

function chain(stage: Stage, root: number, side: Side): Promise<void> {
  return stage.unit(root, () =>
    stage.transaction(async () => {
      await stage.write(documentOf(side, root))
      stage.gates.open(writtenBy(side, root))
      await stage.gates.wait(writtenBy(other(side), root))
      await stage.call(write, { id: documentOf(other(side), root) })
    }),
  )
}

export const crossed: Scenario = {
  name: 'crossed',
  scarce: 'nothing',
  topology: 'replica-set',
  // With lanes of roots x depth both jobs of every pair have a slot.
  depth: { min: 1, default: 2 },
  // The product's default: what is shown is that a chain gives way in that time.
  lockWaitMs: 2000,
  hazard: "two chains each wait for the document that the other's transaction has written (Z15)",
  promise: settings =>
    isIsolated(settings)
      ? 'all pairs complete: the wait for a document is bounded, and one of the two gives way and comes again'
      : 'all pairs hang in LOCK_WAIT, with few slots in LANE_WAIT behind those: each chain waits for the other',
  judge: (outcome, settings) =>
    isIsolated(settings) ? allCompleted(outcome, settings) : allHungIn('LOCK_WAIT', outcome, settings, 'LANE_WAIT'),
  prepare: async stage => {
    const roots = Array.from({ length: stage.settings.roots }, (_, root) => root)
    const ids = roots.flatMap(root => sides.map(side => documentOf(side, root)))
    await stage.raw.insertMany(ids.map(_id => ({ _id, writes: 0 })))
  },
  work: (handlers, stage) => {
    handlers.handle(write, async ({ id }) => {
      await stage.write(id)
      return {}
    })
  },
  root: async (stage, root) => {
    await Promise.all(sides.map(side => chain(stage, root, side)))
  },
}
