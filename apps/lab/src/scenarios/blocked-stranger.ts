import { isIsolated, type Scenario } from './scenario.ts'
import { trios } from './trio.ts'
import { allCompleted, someHungIn } from './verdict.ts'

// Order of waits. Of each trio (`trio.ts`) J needs a connection of the worker process at level 1. S keeps the last one while the
// server lets it wait for X, which T holds. The levels are in order: T is above both jobs. What closes the circle is the
// document. The cure is that a blocked write lets go of its connection every so often (slices), and J gets its turn.

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
  ...trios('blocked-stranger', {
    exists: true,
    hold: (stage, id) => stage.write(id),
    intrude: (stage, id) => stage.write(id),
  }),
}
