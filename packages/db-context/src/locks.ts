import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import { type ChainLink, printChain } from './chain.ts'
import { type Hold, lockRank } from './rank.ts'
import { dbContextError } from './registry.ts'
import { holdsOf, innerScope, refuseEscaped, type Scope } from './scope.ts'

/** Locks that one piece of work holds together, by names that are the same in every process. */
export interface KeptLocks {
  /** At least one. */
  readonly names: readonly string[]
  /** In words, for the error of whoever would wait behind it. */
  readonly what: string
}

/**
 * The place of locks over processes in the one rule: lane 0 < locks < pool 0 < lane 1 < …, among themselves in the order of their
 * names. A lock is kept across calls and transactions, so it is waited for before any of them: by work that nobody awaits, and
 * that holds no connection, no slot and no later lock. For `@strata/consistency/lock`; applications use that.
 *
 * Guaranteed: what is kept here is seen by everything inside the same scope, in units begun there and in calls made from
 * there, in any process (the first 128 locks of a piece of work). Not guaranteed: anything of locks that are not told here.
 */
export interface Locks {
  /**
   * Refuses to wait for these, always and not only when they are taken. Outside any unit of work only what `within` holds is known, and
   * under `isolation: 'none'` nothing is refused.
   *
   * @throws LOCK_ORDER, TRANSACTION_ENDED, CONTEXT_ENDED (`not-applied`)
   */
  refuseWait(locks: KeptLocks): void
  /** Which of these this work holds itself, or work that awaits it: then nobody ends the wait. Undefined for none. */
  heldBy(names: readonly string[]): { readonly name: string; readonly holder: string } | undefined
  /** Runs `body` in a scope that holds these until it ends; what goes on beside it does not. */
  within<T>(locks: KeptLocks, body: () => Promise<T>): Promise<T>
  /** Notes these with the current scope until the returned function is called; `onEnd` is called if the unit of work ends before. */
  keep(locks: KeptLocks, onEnd: () => Promise<void>): () => void
}

export interface LocksOptions {
  /** The current scope, where there is one. @throws CONTEXT_ENDED */
  readonly find: () => Scope | undefined
  readonly enter: <T>(scope: Scope, body: () => Promise<T>) => Promise<T>
  readonly isolated: boolean
}

/**
 * What is held by work outside any unit, where no scope is. Of all contexts, as the names are: a unit that begins there holds it too.
 * Its list is never changed but for what ends, which work that it left behind does not hold any more.
 */
const outsideUnits = new AsyncLocalStorage<readonly { hold: Hold; hasEnded: boolean }[]>()

const heldOutside = (): readonly Hold[] =>
  (outsideUnits.getStore() ?? []).flatMap(({ hold, hasEnded }) => (hasEnded ? [] : [hold]))

export function createLocks({ find, enter, isolated }: LocksOptions): Locks {
  return {
    refuseWait: locks => {
      const scope = find()
      if (scope) refuseEscaped(scope)
      if (isolated) refuseLockWait(scope, locks)
    },
    heldBy: names => holderOf(find(), names),
    within: async (locks, body) => {
      const scope = find()
      if (!scope) return await withinNone(locks, body)
      const inner = innerScope(scope, {})
      const hold = holdOf(scope.unit.id, locks)
      inner.holds.add(hold)
      try {
        return await enter(inner, body)
      } finally {
        inner.holds.delete(hold)
      }
    },
    keep: (locks, onEnd) => {
      const scope = find()
      if (!scope) return () => {}
      const hold = holdOf(scope.unit.id, locks)
      scope.holds.add(hold)
      const forget = scope.unit.onEnd(onEnd)
      return () => {
        scope.holds.delete(hold)
        forget()
      }
    },
  }
}

async function withinNone<T>(locks: KeptLocks, body: () => Promise<T>): Promise<T> {
  const own = { hold: holdOf('none', locks), hasEnded: false }
  try {
    return await outsideUnits.run([own, ...(outsideUnits.getStore() ?? [])], body)
  } finally {
    own.hasEnded = true
  }
}

const holdOf = (unit: string, { names, what }: KeptLocks): Hold => ({
  rank: lockRank,
  unit,
  what,
  locks: [...names].sort(),
})

/** @throws LOCK_ORDER */
function refuseLockWait(scope: Scope | undefined, { names, what }: KeptLocks): void {
  const first = [...names].sort()[0] ?? ''
  const holds = obstacle(scope, first)
  if (holds === undefined) return
  throw dbContextError(
    'LOCK_ORDER',
    `Waiting for ${what} while holding ${holds}: take locks before transactions and calls, several in one withLease, and use ` +
      'tryAcquire, which never waits, inside them',
    { outcome: 'not-applied', details: { holds, waitsFor: what, chain: scope?.unit.chain } },
  )
}

/** The innermost thing that is held around this scope and forbids to wait for a lock of this name. */
function obstacle(scope: Scope | undefined, first: string): string | undefined {
  for (let at = scope; at; at = at.outer ?? at.unit.enclosing) {
    for (const hold of holdsOf(at, lockRank)) if (!isBefore(hold, first)) return hold.what
    // What its caller holds is in another process, and a caller that awaits holds something more often than not.
    const caller = at.outer === undefined && !at.unit.ended ? at.unit.chain.at(-2) : undefined
    if (caller) return `the wait of ${caller.kind} ${caller.name} (level ${caller.level}), which awaits this work`
  }
  return heldOutside().find(hold => !isBefore(hold, first))?.what
}

const isBefore = ({ locks }: Hold, first: string) => locks !== undefined && (locks.at(-1) ?? '') < first

function holderOf(scope: Scope | undefined, names: readonly string[]) {
  for (let at = scope; at; at = at.outer ?? at.unit.enclosing) {
    const own = holderIn(at.holds, names)
    if (own) return own
    const caller = at.outer === undefined ? callerWith(at.unit.chain.slice(0, -1), names) : undefined
    if (caller) return caller
  }
  return holderIn(heldOutside(), names)
}

function holderIn(holds: Iterable<Hold>, names: readonly string[]) {
  for (const { locks = [], what } of holds) {
    const name = names.find(each => locks.includes(each))
    if (name !== undefined) return { name, holder: what }
  }
  return undefined
}

function callerWith(callers: readonly ChainLink[], names: readonly string[]) {
  for (const link of callers) {
    const { locks = [] } = link
    const name = locks.length === 0 ? undefined : names.find(each => locks.includes(lockMark(each)))
    if (name !== undefined) return { name, holder: `${printChain([link])}, which awaits this work` }
  }
  return undefined
}

/** As a lock travels: names may be long. */
const lockMark = (name: string): string => createHash('sha256').update(name).digest('base64url').slice(0, 16)

/** The most locks that travel with one link of a chain. */
const marksMax = 128

/** The locks that work which is awaited from this scope must not take: as they travel. */
export function heldMarks(scope: Scope): string[] {
  const names: string[] = []
  for (let at: Scope | undefined = scope; at; at = at.outer ?? at.unit.enclosing) {
    for (const { locks } of at.holds) if (locks) names.push(...locks)
  }
  for (const { locks = [] } of heldOutside()) names.push(...locks)
  return names.slice(0, marksMax).map(lockMark)
}

const mark = /^[\w-]{16}$/

/** Takes over the locks that another process says a link of a chain holds; undefined for anything else. */
export function readMarks(found: unknown): readonly string[] | undefined {
  if (!Array.isArray(found) || found.length > marksMax) return undefined
  return found.every(each => typeof each === 'string' && mark.test(each)) ? [...found] : undefined
}
