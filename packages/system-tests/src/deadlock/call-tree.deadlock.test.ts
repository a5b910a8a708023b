import { randomUUID } from 'node:crypto'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, defineJob } from '@strata/queue'
import { seedFrom } from '@strata/testkit'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, inject, it } from 'vitest'
import { z } from 'zod'
import { bend, type CallTree, callTreeSchema, callTrees, nodesOf } from './call-tree.ts'

const levelsMax = 4
const node = defineJob({ name: 'tree.node', input: callTreeSchema, output: z.object({ nodes: z.int() }) })
const run = randomUUID()
const { value: seed } = seedFrom()

/** One process's worth of Strata with every pool and lane of size 1; the two datasources are two stores to it. */
function participant() {
  const options = { database: `trees-${run}`, pool: { max: 1, timeoutMs: 30_000 } }
  const of = {
    first: mongoDatasource({ name: 'first', url: inject('mongoLbUrl'), ...options }),
    second: mongoDatasource({ name: 'second', url: inject('mongoUrl'), ...options }),
  }
  const db = createDbContext({ datasources: [of.first, of.second], levels: { max: levelsMax } })
  const redis = { redis: inject('redisUrl'), prefix: `trees-${run}` }
  const queues = createQueues({ db, ...redis })
  const worker = createWorker({ db, ...redis, lanes: { slots: 1 } })

  const runNode = async ({ holds: [name, ...rest], ...tree }: CallTree): Promise<number> => {
    if (!name) return await descend(tree.children)
    const body = async () => {
      await of[name].collection('rows').insertOne({ level: db.current.level })
      return await runNode({ ...tree, holds: rest })
    }
    return await db.switchDb(() => db.transaction.begin(body), { datasource: name })
  }
  const descend = async (children: readonly CallTree[]) => {
    const counts = await Promise.all(
      children.map(async child => {
        const level = db.current.level + (child.bent ? 0 : child.deeper)
        return (await queues.pushAsync(node, child, { dbInfo: { level } })).nodes
      }),
    )
    return counts.reduce((sum, count) => sum + count, 1)
  }
  worker.handle(node, async tree => ({ nodes: await runNode(tree) }))
  const stop = async () => {
    await queues.stop()
    await worker.stop()
    await db.stop()
  }
  const prepare = () => db.run(() => of.first.collection('rows').insertOne({ level: -1 }))
  return { prepare, root: (tree: CallTree) => db.run(() => runNode(tree)), start: () => worker.start(), stop }
}

const participants = [participant(), participant(), participant()]
const [api, ...workers] = participants
beforeAll(async () => {
  // Two transactions that make the same collection conflict, and one that has awaited a call is not run again.
  await api?.prepare()
  await Promise.all(workers.map(({ start }) => start()))
})
afterAll(() => Promise.all(participants.map(({ stop }) => stop())))

it('random trees of ever deeper calls over two datasources complete with every pool and lane of size 1', async () => {
  const trees = fc.array(callTrees(levelsMax), { minLength: 1, maxLength: 5 })
  const property = fc.asyncProperty(trees, async roots => {
    const counts = await Promise.all(roots.map(tree => api?.root(tree)))
    expect(counts).toEqual(roots.map(tree => nodesOf(tree).length))
  })
  await fc.assert(property, { numRuns: 25, seed })
})

it('one edge turned sideways is refused and named, whatever the tree around it', async () => {
  const trees = callTrees(levelsMax).filter(tree => tree.children.length > 0)
  const property = fc.asyncProperty(trees, fc.nat(), async (tree, pick) => {
    await expect(api?.root(bend(tree, pick))).rejects.toMatchObject({ code: 'LEVEL_ORDER' })
  })
  await fc.assert(property, { numRuns: 15, seed })
})
