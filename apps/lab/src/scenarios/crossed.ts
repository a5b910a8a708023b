import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, allHungIn } from './verdict.ts'

// A root is a pair of chains: one transaction writes X and awaits a job that writes Y, the other, one level deeper so that pools of 1
// have room for both, writes Y and awaits a job that writes X. Both jobs are called after both transactions have written.
// Order of waits. Each chain waits for a document of the other. Nothing orders documents, so the wait is bounded: after
// `lockWaitMs` a call fails, its transaction rolls back and runs again after a random pause, and the other chain goes through.

const write = defineJob({ name: 'crossed.write', input: z.object({ id: z.string() }), output: z.object({}) })

const sides = ['x', 'y'] as const
type Side = (typeof sides)[number]
const other = (side: Side): Side => (side === 'x' ? 'y' : 'x')
const documentOf = (side: Side, root: number) => `crossed-${side}-${root}`
const writtenBy = (side: Side, root: number) => `chain ${side} of ${root} has written`

function chain(stage: Stage, root: number, side: Side): Promise<void> {
  return stage.transaction(async () => {
    await stage.write(documentOf(side, root))
    stage.gates.open(writtenBy(side, root))
    await stage.gates.wait(writtenBy(other(side), root))
    await stage.call(write, { id: documentOf(other(side), root) })
  })
}

/**
 * The product's default, or so much less that all pairs have their turns before the deadline: in a pool of 1 they come one after
 * the other, and each may take two of these waits.
 */
function lockWaitMsOf({ roots, pool, deadlineMs }: Settings): number {
  const turns = Math.ceil(roots / pool)
  return Math.max(lockWaitMsBounds.min, Math.min(lockWaitMsBounds.max, deadlineMs / (waitsPerTurn * turns)))
}

/** Less than a slice of a blocked write would never show that it waits in slices. */
const lockWaitMsBounds = { min: 250, max: 2000 }
/** Two, and room for as much again on a busy machine. */
const waitsPerTurn = 4

/** A root is counted under the lane that one of its jobs waits for, where not all have a slot. */
const waits = ({ lanes, roots }: Settings) =>
  lanes >= sides.length * roots ? ['LOCK_WAIT'] : ['LOCK_WAIT', 'LANE_WAIT']

/** Begins when the first chain has written: a transaction that waits for this one waits for something deeper only. */
async function deeperChain(stage: Stage, root: number): Promise<void> {
  await stage.gates.wait(writtenBy('x', root))
  await stage.unit(root, () => stage.db.switchDbIsolate(() => chain(stage, root, 'y')))
}

export const crossed: Scenario = {
  name: 'crossed',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 2, default: 2 },
  lockWaitMs: lockWaitMsOf,
  hazard: "two chains each wait for the document that the other's transaction has written (Z15)",
  promise: settings =>
    isIsolated(settings)
      ? 'all pairs complete: the wait for a document is bounded, and one of the two gives way and comes again'
      : 'all pairs hang in LOCK_WAIT, with few slots in LANE_WAIT: each chain waits for the other',
  judge: (outcome, settings) =>
    isIsolated(settings) ? allCompleted(outcome, settings) : allHungIn(waits(settings), outcome, settings),
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
    await Promise.all([stage.unit(root, () => chain(stage, root, 'x')), deeperChain(stage, root)])
  },
}
