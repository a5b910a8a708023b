import { isIsolated, type Scenario } from './scenario.ts'
import { trios } from './trio.ts'
import { allCompleted, someHungIn } from './verdict.ts'

// Order of waits. Of each trio (`trio.ts`) both jobs are of one queue. S keeps the last slot of its lane while it waits for X, which T
// holds, and J can only start in that slot. The cure is put-back: a job that is blocked for more than 200 ms, and has
// applied and called nothing, goes to the end of its lane, and J gets its turn.

export const blockedSlot: Scenario = {
  name: 'blocked-slot',
  scarce: 'lanes',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  hazard:
    "a stranger's job waits for a transaction's document, in the last slot that the transaction's job needs (Z14)",
  promise: settings =>
    isIsolated(settings)
      ? 'all trios complete: a blocked job that has done nothing yet is put back'
      : 'trios hang in LANE_WAIT: a blocked job keeps its slot for as long as it waits',
  judge: (outcome, settings) =>
    isIsolated(settings) ? allCompleted(outcome, settings) : someHungIn('LANE_WAIT', outcome),
  ...trios('blocked-slot', {
    exists: true,
    sharesQueue: true,
    hold: (stage, id) => stage.write(id),
    intrude: (stage, id) => stage.write(id),
  }),
}
