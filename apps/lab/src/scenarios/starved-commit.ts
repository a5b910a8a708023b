import type { Stage } from '../process/stage.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, someHungIn } from './verdict.ts'

// A root is a pair on one document: a transaction T that writes it, and a plain writer W that comes second. T ends only after
// W has been sent off.
// Order of waits. W keeps a connection while the server lets it wait for T's document. T needs a connection to commit. On a
// replica set T keeps none between its statements, so without permits W has taken the only one, and T's commit waits for
// W, which waits for T. With permits T keeps its connection until it has committed; behind a load balancer the
// driver does the same by itself. Even roots have both actors on level 0, where W waits for T's permit; odd ones have W
// one level deeper, where it has its own.

const documentOf = (root: number) => `starved-${root}`
const writtenBy = (root: number) => `transaction ${root} has written`
const sentBy = (root: number) => `writer ${root} is under way`

function transaction(stage: Stage, root: number): Promise<void> {
  return stage.unit(root, () =>
    stage.transaction(async () => {
      await stage.write(documentOf(root))
      stage.gates.open(writtenBy(root))
      await stage.gates.wait(sentBy(root))
    }),
  )
}

async function writer(stage: Stage, root: number): Promise<void> {
  await stage.gates.wait(writtenBy(root))
  const write = () => stage.writeThenOpen(documentOf(root), sentBy(root))
  await stage.unit(root, root % 2 === 0 ? write : () => stage.db.switchDbIsolate(write))
}

export const starvedCommit: Scenario = {
  name: 'starved-commit',
  scarce: 'pool',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  hazard: 'a write that waits for a document keeps the connection with which the holder would commit (Z2)',
  promise: settings =>
    isIsolated(settings) || settings.topology === 'load-balanced'
      ? 'all pairs complete, on one level and on two: a transaction keeps its connection until it has committed'
      : 'pairs hang in POOL_WAIT: a commit waits for the connection on which another write waits for that commit',
  judge: (outcome, settings) =>
    isIsolated(settings) || settings.topology === 'load-balanced'
      ? allCompleted(outcome, settings)
      : someHungIn('POOL_WAIT', outcome),
  prepare: async stage => {
    const roots = Array.from({ length: stage.settings.roots }, (_, root) => root)
    await stage.raw.insertMany(roots.map(root => ({ _id: documentOf(root), writes: 0 })))
  },
  root: async (stage, root) => {
    await Promise.all([transaction(stage, root), writer(stage, root)])
  },
}
