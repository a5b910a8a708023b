import type { ChainLink } from './chain.ts'
import { currentChain } from './current-chain.ts'
import type { StrataError } from './error.ts'
import { dbContextError } from './registry.ts'
import { openTransactions, type Scope } from './scope.ts'
import type { Transaction } from './transaction.ts'
import { type DocumentSet, type Match, type TransactionWrites, Writes } from './writes.ts'

/** A transaction that awaits the current work and has, or may have, written what it waits for. */
export interface Ancestor {
  readonly transaction: string
  readonly name: string | undefined
  readonly level: number
  readonly match: Match
}

/** Finds the transactions that are open in this process, by id: what they have written meanwhile counts too. */
export type FindOpen = (id: string) => Transaction | undefined

/**
 * The transaction around this scope, in this process or another, that holds one of these documents and cannot end before
 * this work has: the surest, and the innermost of those. `own` is the transaction that the write belongs to.
 */
export function findAncestor(
  scope: Scope,
  documents: DocumentSet,
  { own, open }: { readonly own: Transaction | undefined; readonly open: FindOpen },
): Ancestor | undefined {
  let possible: Ancestor | undefined
  for (const ancestor of ancestorsOf(scope, documents, { own, open })) {
    if (ancestor.match === 'certain') return ancestor
    possible ??= ancestor
  }
  return possible
}

function* ancestorsOf(
  scope: Scope,
  documents: DocumentSet,
  { own, open }: { readonly own: Transaction | undefined; readonly open: FindOpen },
): Generator<Ancestor> {
  const seen = new Set<string>()
  for (const transaction of openTransactions(scope)) {
    seen.add(transaction.id)
    if (transaction !== own) yield* matching(transaction, transaction.writes.match(documents))
  }
  const links: readonly ChainLink[] = scope.unit.chain
  for (const held of links.flatMap(({ writes = [] }) => writes).reverse()) {
    if (seen.has(held.transaction)) continue
    const writes = open(held.transaction)?.writes ?? writesOf(held)
    yield* matching({ ...held, id: held.transaction, name: held.name }, writes.match(documents))
  }
}

function* matching(
  { id, name, level }: Pick<Transaction, 'id' | 'name' | 'level'>,
  match: Match | undefined,
): Generator<Ancestor> {
  if (match) yield { transaction: id, name, level, match }
}

function writesOf(held: TransactionWrites): Writes {
  const writes = new Writes()
  for (const documents of held.collections) writes.add(documents)
  return writes
}

/** The end of a write that waits for a document of a transaction that waits for it. */
export function ancestorLock(
  scope: Scope,
  { ancestor, own, what, collection, cause }: AncestorLock,
): StrataError<'ANCESTOR_LOCK'> {
  const { transaction, name, level, match } = ancestor
  const isCertain = match === 'certain'
  const mine = own ? `transaction ${own.name ?? own.id}` : `work ${scope.unit.id}`
  return dbContextError(
    'ANCESTOR_LOCK',
    `${what} in ${mine} at level ${scope.level} waits for a document of ${collection} that ` +
      `${isCertain ? '' : 'probably '}transaction ${name ?? transaction} at level ${level} has written, and that one awaits ` +
      'this work: let only one of the two write it, or let the outer one write it after this call, with what the call returns',
    {
      details: {
        what,
        collection,
        certain: isCertain,
        level: scope.level,
        transaction: own?.id,
        ancestor: { transaction, name, level },
        chain: currentChain(scope),
      },
      cause,
    },
  )
}

export interface AncestorLock {
  readonly ancestor: Ancestor
  readonly own: Transaction | undefined
  readonly what: string
  readonly collection: string
  readonly cause: unknown
}
