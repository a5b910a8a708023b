import { setImmediate } from 'node:timers/promises'
import { isNativeError } from 'node:util/types'
import { at } from './deadline.ts'
import { hasCode, StrataError } from './error.ts'
import type { Ledger } from './ledger.ts'
import { dbContextError } from './registry.ts'
import type { Unit } from './unit.ts'

const causesMax = 8

/**
 * Ends a job that has failed, where its error says that nothing was applied only once all its statements have ended: what they
 * did counts. `LOCK_BLOCKED` and `MESSAGE_IN_PROGRESS` say besides that it can be put back, and `LOCK_TIMEOUT` speaks of the whole job.
 *
 * @throws always: returned, what was thrown would be asked whether it is a promise
 */
export async function failJob(unit: Unit, ledger: Ledger, error: unknown): Promise<never> {
  const blocked = find(error, 'LOCK_BLOCKED')
  const elsewhere = find(error, 'MESSAGE_IN_PROGRESS')
  const isLive = !unit.signal.aborted
  if (isLive && (blocked || elsewhere || isUnapplied(error))) await lastStatements(unit, ledger)
  if (isLive && elsewhere && !unit.hasEffects) throw elsewhere
  const unseen = unseenAncestors(unit, ledger)
  if (isLive && blocked) throw unit.isUntouched ? withUnseen(blocked, unseen) : lockTimeout(unit, blocked, unseen)
  throw isUnapplied(error) && error.code === 'LOCK_TIMEOUT' ? lockTimeout(unit, error, unseen) : error
}

interface UnseenAncestor {
  readonly transaction: string
  readonly name: string | undefined
  readonly level: number
}

/**
 * Transactions of other processes that await this job: what they have written since its call was sent is not known here. That
 * one of them holds the document is no more than possible, so the end is that of a stranger's lock, which says so.
 */
function unseenAncestors({ chain }: Unit, ledger: Ledger): UnseenAncestor[] {
  const held = chain.flatMap(({ writes = [] }) => writes)
  return held
    .filter(({ transaction }) => !ledger.transaction(transaction))
    .map(({ transaction, name, level }) => ({ transaction, name, level }))
}

function withUnseen(error: StrataError, ancestors: readonly UnseenAncestor[]): StrataError {
  if (ancestors.length === 0 || hasCode(error.cause, 'ANCESTOR_LOCK')) return error
  const { code, message, outcome, transient, cause } = error
  const [{ name, transaction, level } = { name: '', transaction: '', level: 0 }] = ancestors
  const hint = `Should transaction ${name ?? transaction} (level ${level}), which awaits this job, have written it after the call, let it wait for the result first`
  const details = { ...error.details, certain: false, ancestors }
  return new StrataError(code, `${message}. ${hint}`, { outcome, transient, details, cause })
}

/** What nobody awaited may be applied after the job has failed: at the deadline that is still not known, and counts as done. */
async function lastStatements(unit: Unit, ledger: Ledger): Promise<void> {
  const late = Promise.withResolvers<void>()
  const disarm = at(unit.deadline, () => {
    unit.noteEffect()
    late.resolve()
  })
  await Promise.race([ledger.quiet(unit.id), late.promise])
  disarm()
  // What a statement did is noted by the write that waits for it, a few steps after its end.
  await setImmediate()
}

/** A handler may have wrapped it. What was thrown may be no error, or one that throws in its turn. */
function find(error: unknown, code: 'LOCK_BLOCKED' | 'MESSAGE_IN_PROGRESS'): StrataError | undefined {
  let found = error
  try {
    for (let depth = 0; depth < causesMax && isNativeError(found); depth += 1) {
      if (hasCode(found, code)) return found
      found = found.cause
    }
  } catch {
    return undefined
  }
  return undefined
}

const isUnapplied = (error: unknown): error is StrataError =>
  isNativeError(error) && error instanceof StrataError && error.outcome === 'not-applied'

function lockTimeout({ hasEffects }: Unit, ended: StrataError, unseen: readonly UnseenAncestor[]): StrataError {
  const error = withUnseen(ended, unseen)
  if (!hasEffects && hasCode(error, 'LOCK_TIMEOUT')) return error
  const { message, details, cause } = error
  const did = hasEffects
    ? ({ message: `${message}, after other work of this job was done`, outcome: 'unknown', transient: false } as const)
    : ({ message, outcome: 'not-applied', transient: true } as const)
  return dbContextError('LOCK_TIMEOUT', did.message, { ...did, details, cause })
}
