import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, someHungIn } from './verdict.ts'

// Order of waits. A root's transaction keeps a connection of the API process and waits for a job; the job's transaction keeps
// one of the worker process and waits for the next job, down to the leaf. Behind a load balancer the driver pins the
// connection from begin to end, so without levels the second transaction of a chain waits for the one that the first
// keeps. On a plain replica set the driver keeps nothing between two statements, and nobody waits.

const step = defineJob({
  name: 'pool.step',
  input: z.object({ root: z.number(), level: z.number() }),
  output: z.object({}),
})

/** Writes a document of its own in a transaction, and awaits the next level inside it. */
function descend(stage: Stage, root: number, level: number): Promise<void> {
  return stage.transaction(async () => {
    await stage.documents.insertOne({ _id: `${root}-${level}`, writes: 1 })
    if (level < stage.settings.depth) await stage.call(step, { root, level: level + 1 })
  })
}

/** A chain needs two connections of one process before it can wait for itself. */
const canHang = ({ topology, depth, processes }: Settings): boolean =>
  topology === 'load-balanced' && (depth >= 2 || processes === 1)

export const pool: Scenario = {
  name: 'pool',
  scarce: 'pool',
  topology: 'load-balanced',
  depth: { min: 1, default: 2 },
  hazard: 'a transaction keeps the connection that the job it awaits needs (Z1)',
  promise: settings => {
    if (isIsolated(settings)) return 'all roots complete: every level has connections of its own'
    if (canHang(settings)) return 'roots hang in POOL_WAIT: one pool serves all levels, and transactions keep it'
    if (settings.topology === 'load-balanced') {
      return 'all roots complete: at depth 1 a root and its job use pools of different processes'
    }
    return 'all roots complete: on a replica set the driver keeps no connection between two statements, so nothing is pinned'
  },
  judge: (outcome, settings) =>
    isIsolated(settings) || !canHang(settings) ? allCompleted(outcome, settings) : someHungIn('POOL_WAIT', outcome),
  work: (handlers, stage) => {
    handlers.handle(step, async ({ root, level }) => {
      await descend(stage, root, level)
      return {}
    })
  },
  root: (stage, root) => stage.unit(root, () => descend(stage, root, 0)),
}
