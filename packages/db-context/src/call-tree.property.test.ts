import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FakeDatasource } from './conformance/index.ts'
import { createDbContext } from './db-context.ts'

/**
 * One piece of work: it opens a transaction on each of its datasources, in declared order, and inside them awaits its
 * children at once, each `deeper` levels below itself.
 */
interface Node {
  readonly holds: readonly ('first' | 'second')[]
  readonly deeper: number
  readonly children: readonly Node[]
}

const levelsMax = 5

function tree(levels: number): fc.Arbitrary<Node> {
  const holds = fc.subarray(['first', 'second'] as const)
  const deeper = fc.integer({ min: 1, max: Math.max(1, levels) })
  if (levels <= 0) return fc.record({ holds, deeper: fc.constant(1), children: fc.constant([]) })
  return deeper.chain(step =>
    fc.record({ holds, deeper: fc.constant(step), children: fc.array(tree(levels - step), { maxLength: 2 }) }),
  )
}

const roots = fc.array(tree(levelsMax - 1), { minLength: 1, maxLength: 6 })

function make(isolation: 'levels' | 'none' = 'levels') {
  const pool = { max: 1, timeoutMs: isolation === 'none' ? 300 : 20_000 }
  const first = new FakeDatasource({ name: 'first', pool })
  const second = new FakeDatasource({ name: 'second', pool })
  const db = createDbContext({ datasources: [first, second], levels: { max: levelsMax }, isolation })
  return { db, of: { first, second } }
}

type Made = ReturnType<typeof make>

/** Runs the node at the current level; returns how many nodes ran. `level` says where a child is to go. */
async function runNode({ db, of }: Made, node: Node, isBent: (node: Node) => boolean = () => false): Promise<number> {
  const enter = async ([datasource, ...rest]: Node['holds']): Promise<number> => {
    if (!datasource) return await descend()
    const body = async () => {
      await of[datasource].occupy(async () => {})
      return await enter(rest)
    }
    return await db.switchDb(() => db.transaction.begin(body), { datasource })
  }
  const descend = async () => {
    const counts = await Promise.all(
      node.children.map(async child => {
        const wanted = db.current.level + (isBent(child) ? 0 : child.deeper)
        const { level } = db.propagator.call('child', { level: wanted })
        return await db.switchDb(() => runNode({ db, of }, child, isBent), { level })
      }),
    )
    return counts.reduce((sum, count) => sum + count, 1)
  }
  return await enter(node.holds)
}

const nodes = (node: Node): Node[] => [node, ...node.children.flatMap(nodes)]

it('random trees of ever deeper waits over two datasources complete with every pool of size 1', async () => {
  const property = fc.asyncProperty(roots, async trees => {
    const made = make()
    try {
      const counts = await Promise.all(trees.map(node => made.db.run(() => runNode(made, node))))
      expect(counts).toEqual(trees.map(node => nodes(node).length))
    } finally {
      await made.db.stop()
    }
  })
  await fc.assert(property, { numRuns: 150 })
}, 60_000)

it('without levels, two requests that each hold the one connection and wait for another hang until the bound', async () => {
  const child: Node = { holds: ['first'], deeper: 1, children: [] }
  const made = make('none')
  const root: Node = { holds: ['first'], deeper: 1, children: [child] }
  const ended = Promise.all([root, root].map(node => made.db.run(() => runNode(made, node))))
  await expect(ended).rejects.toMatchObject({ code: 'POOL_TIMEOUT' })
})

it('one edge turned sideways is refused and named, whatever the tree around it', async () => {
  const bent = tree(levelsMax - 1).filter(root => nodes(root).some(({ children }) => children.length > 0))
  const property = fc.asyncProperty(bent, fc.nat(), async (root, pick) => {
    const made = make()
    const targets = nodes(root).slice(1)
    const target = targets[pick % targets.length]
    try {
      const isBent = (node: Node) => node === target
      await expect(made.db.run(() => runNode(made, root, isBent))).rejects.toMatchObject({ code: 'LEVEL_ORDER' })
    } finally {
      await made.db.stop()
    }
  })
  await fc.assert(property, { numRuns: 100 })
})
