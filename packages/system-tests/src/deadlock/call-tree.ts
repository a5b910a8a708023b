import fc from 'fast-check'
import { z } from 'zod'

/**
 * One piece of work: it opens a transaction on each of its datasources, in declared order, and inside them awaits its
 * children at once, each `deeper` levels below itself.
 */
export interface CallTree {
  readonly holds: readonly ('first' | 'second')[]
  readonly deeper: number
  /** Asks for its caller's own level: the edge that must be refused. */
  readonly bent: boolean
  readonly children: readonly CallTree[]
}

export const callTreeSchema: z.ZodType<CallTree, CallTree> = z.object({
  holds: z.array(z.enum(['first', 'second'])),
  deeper: z.int(),
  bent: z.boolean(),
  get children() {
    return z.array(callTreeSchema)
  },
})

/** Trees that reach at most `levels` below where they start. */
export function callTrees(levels: number): fc.Arbitrary<CallTree> {
  return fc.integer({ min: 1, max: Math.max(1, levels) }).chain(deeper =>
    fc.record({
      holds: fc.subarray(['first', 'second'] as const),
      deeper: fc.constant(deeper),
      bent: fc.constant(false),
      children: levels > deeper ? fc.array(callTrees(levels - deeper), { maxLength: 2 }) : fc.constant([]),
    }),
  )
}

export const nodesOf = (tree: CallTree): CallTree[] => [tree, ...tree.children.flatMap(nodesOf)]

/** The same tree with the edge to one node turned sideways; `pick` chooses among the nodes below the root. */
export function bend(tree: CallTree, pick: number): CallTree {
  const targets = nodesOf(tree).slice(1)
  const target = targets[pick % targets.length]
  const copy = (node: CallTree): CallTree => ({ ...node, bent: node === target, children: node.children.map(copy) })
  return copy(tree)
}
