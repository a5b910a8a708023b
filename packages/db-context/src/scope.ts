import type { PlainHooks } from './hooks.ts'
import type { Hold, Rank } from './rank.ts'
import type { Transaction } from './transaction.ts'
import type { Unit } from './unit.ts'

/**
 * What AsyncLocalStorage carries. A scope is never changed: each verb that enters one makes a new one, so siblings can
 * never see each other's level or transaction. Only `holds` grows and shrinks, and only this scope and those
 * inside it read it.
 */
export interface Scope {
  readonly unit: Unit
  readonly level: number
  /** The scope around this one in the same unit. */
  readonly outer: Scope | undefined
  /** The transaction that this scope opened. */
  readonly transaction: Transaction | undefined
  /** The hooks of a body that this scope runs without a transaction. */
  readonly plain: PlainHooks | undefined
  /** True for a hook: it runs although what is around it may have ended. */
  readonly isHook: boolean
  /** The datasource that `switchDb` chose. */
  readonly datasource: string | undefined
  /** Permits kept by open cursors of this scope, and locks over processes. */
  readonly holds: Set<Hold>
}

export function rootScope(unit: Unit, level: number): Scope {
  const none = { outer: undefined, transaction: undefined, plain: undefined, isHook: false, datasource: undefined }
  return { unit, level, ...none, holds: new Set() }
}

type Change = Partial<Pick<Scope, 'level' | 'transaction' | 'plain' | 'isHook' | 'datasource'>>

export function innerScope(outer: Scope, change: Change): Scope {
  return {
    unit: outer.unit,
    level: outer.level,
    datasource: outer.datasource,
    transaction: undefined,
    plain: undefined,
    isHook: false,
    ...change,
    outer,
    holds: new Set(),
  }
}

/** The open transaction of this datasource that a statement at this scope belongs to. */
export function findTransaction(scope: Scope, datasource: string): Transaction | undefined {
  for (let at: Scope | undefined = scope; at?.level === scope.level; at = at.outer) {
    if (at.transaction?.datasource === datasource) return at.transaction
  }
  return undefined
}

/** The innermost transaction of this scope's level, whatever its datasource. */
export function innermostTransaction(scope: Scope): Transaction | undefined {
  for (let at: Scope | undefined = scope; at?.level === scope.level; at = at.outer) {
    if (at.transaction) return at.transaction
  }
  return undefined
}

/** The transaction around this scope in its unit, at whatever level: it waits for what is done here. */
export function enclosingTransaction(scope: Scope): Transaction | undefined {
  for (let at: Scope | undefined = scope; at; at = at.outer) if (at.transaction) return at.transaction
  return undefined
}

/**
 * Refuses work that has escaped the body of a transaction, at a deeper level too: nobody waits for it any more.
 *
 * @throws TRANSACTION_ENDED
 */
export function refuseEscaped(scope: Scope): void {
  for (let at: Scope | undefined = scope; at && !at.isHook; at = at.outer) at.transaction?.check()
}

/**
 * Every transaction that is open around this scope, innermost first, of this unit and of those that enclose it. A list and
 * not a generator, because it is asked for with each write: that cost a microsecond more.
 */
export function openTransactions(scope: Scope): readonly Transaction[] {
  let found: Transaction[] | undefined
  for (let at: Scope | undefined = scope; at; at = at.outer ?? at.unit.enclosing) {
    if (!at.transaction?.isOpen) continue
    if (found) found.push(at.transaction)
    else found = [at.transaction]
  }
  return found ?? none
}

const none: readonly Transaction[] = []

/** Tells the open transactions that work which they await has ended because a document held it up for too long. */
export function noteHeldUp(scope: Scope, error: unknown): void {
  for (const transaction of openTransactions(scope)) transaction.noteHeldUp(error)
}

/** The innermost of {@link openTransactions}. */
export function innermostOpen(scope: Scope): Transaction | undefined {
  return openTransactions(scope)[0]
}

/**
 * The innermost thing that this scope holds at this rank or above: what forbids a wait for it. A plain loop, because it
 * runs before each statement: as a generator it cost a microsecond more.
 */
export function findHold(scope: Scope, rank: Rank): Hold | undefined {
  for (let at: Scope | undefined = scope; at; at = at.outer ?? at.unit.enclosing) {
    const hold = holdOf(at, rank)
    if (hold) return hold
  }
  return undefined
}

function holdOf({ holds, transaction, outer, unit }: Scope, rank: Rank): Hold | undefined {
  if (holds.size > 0) for (const hold of holds) if (hold.rank >= rank) return hold
  if (transaction?.isOpen && transaction.hold.rank >= rank) return transaction.hold
  const slot = outer === undefined && !unit.ended ? unit.slot : undefined
  return slot && slot.rank >= rank ? slot : undefined
}

/** Everything that one scope itself holds at this rank or above. */
export function holdsOf({ holds, transaction, outer, unit }: Scope, rank: Rank): readonly Hold[] {
  const slot = outer === undefined && !unit.ended ? unit.slot : undefined
  const all = [...holds, transaction?.isOpen ? transaction.hold : undefined, slot]
  return all.filter(hold => hold !== undefined && hold.rank >= rank) as readonly Hold[]
}
