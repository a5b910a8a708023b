import type { Chain } from './chain.ts'
import { heldMarks } from './locks.ts'
import { openTransactions, type Scope } from './scope.ts'
import type { TransactionWrites } from './writes.ts'

/** The chain with the level that the current scope has reached inside its unit. */
export function currentChain(scope: Scope): Chain {
  const { chain } = scope.unit
  const own = { ...(chain[chain.length - 1] ?? chain[0]), level: scope.level }
  return [...chain.slice(0, -1), own] as unknown as Chain
}

/** The same for work that is awaited from here, with the locks around it, and with what each open transaction has written and so holds. */
export function heldChain(scope: Scope): Chain {
  const chain = currentChain(scope)
  const writes = heldWrites(scope)
  const locks = heldMarks(scope)
  if (writes.length === 0 && locks.length === 0) return chain
  const own = chain[chain.length - 1] ?? chain[0]
  const held = { ...(writes.length > 0 && { writes }), ...(locks.length > 0 && { locks }) }
  return [...chain.slice(0, -1), { ...own, ...held }] as unknown as Chain
}

/** No more transactions are open around one piece of work than there are levels, so all of them fit. */
const transactionsMax = 16

function heldWrites(scope: Scope): TransactionWrites[] {
  const writes: TransactionWrites[] = []
  for (const { id, name, level, writes: own } of openTransactions(scope)) {
    const named = name === undefined ? {} : { name: name.slice(0, 128) }
    writes.push({ transaction: id, ...named, level, collections: own.sent() })
  }
  return writes.slice(0, transactionsMax).reverse()
}
