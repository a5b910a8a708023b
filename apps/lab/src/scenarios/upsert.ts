import { isIsolated, type Scenario } from './scenario.ts'
import { trios } from './trio.ts'
import { allCompleted, someHungIn } from './verdict.ts'

// Order of waits. As in `blocked-stranger.ts`, but T has inserted X, and S upserts it: blocked by the key of a transaction that is
// open, the server heeds neither `maxTimeMS` nor `killOp`, so S could not be sent in slices. The cure is to send an
// upsert as a transaction of one statement, which fails at once, and again later.

export const upsert: Scenario = {
  name: 'upsert',
  scarce: 'pool',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  hazard:
    "a stranger's upsert of a key that a transaction has inserted keeps the connection that the transaction's job needs (Z17)",
  promise: settings =>
    isIsolated(settings)
      ? 'all trios complete: an upsert keeps no connection while it waits for a key'
      : 'trios hang in POOL_WAIT: nothing but the end of the transaction ends a blocked upsert',
  judge: (outcome, settings) =>
    isIsolated(settings) ? allCompleted(outcome, settings) : someHungIn('POOL_WAIT', outcome),
  ...trios('upsert', {
    exists: false,
    hold: (stage, id) => stage.documents.insertOne({ _id: id, writes: 1 }),
    intrude: (stage, id) => stage.documents.updateOne({ _id: id }, { $inc: { writes: 1 } }, { upsert: true }),
  }),
}
