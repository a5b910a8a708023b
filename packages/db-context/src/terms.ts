import type { TransactionConcerns } from './datasource.ts'
import { checkMs, checkWhole } from './options.ts'
import { conducts, isConduct, type Propagation, propagations } from './propagation.ts'
import { dbContextError } from './registry.ts'
import { retriesDefault } from './retry.ts'

export interface BeginTransactionOptions extends TransactionConcerns {
  /** The datasource; the one that `switchDb` chose by default, else the first declared. */
  readonly datasource?: string
  /** Default `required`: joins the open transaction of this datasource and level, or begins one; see `propagations`. */
  readonly propagation?: Propagation
  /**
   * Milliseconds from the moment it first has its connection, all its attempts together; default `transaction.deadlineMs` of the
   * context (30,000), at most what the unit of work has left. Below the server's own lifetime of transactions, else `CONFIG`.
   */
  readonly deadlineMs?: number
  /** Attempts after a transient failure that is not a conflict; default 3, and 0 turns every retry off. */
  readonly retries?: number
  /** Names it in errors. */
  readonly name?: string
  /**
   * The id of an outermost transaction, where another process may begin the same one again, as after a crash: its calls have the same
   * ids there, so that a job that has run is not run twice. 1 to 128 letters, digits, `-` and `_`; a random one by default.
   * `CONFIG` inside another transaction, whose place in that one is its id.
   */
  readonly id?: string
  /** What `db.current.transaction.now` says; default: when the first attempt began. For one with an `id` that is begun again. */
  readonly now?: Date
}

/** What a transaction was begun with: one that is joined cannot have other ones. */
export interface TransactionTerms {
  readonly deadlineMs: number
  readonly retries: number
  readonly readConcern: TransactionConcerns['readConcern']
  readonly writeConcern: TransactionConcerns['writeConcern']
}

const termNames = ['deadlineMs', 'retries', 'readConcern', 'writeConcern'] as const

const retriesLimit = 1000

/** The propagations that ever begin a transaction. */
const beginning = new Set(
  Object.entries(propagations)
    .filter(([, row]) => Object.values(row).some(cell => isConduct(cell) && conducts[cell].transaction === 'own'))
    .map(([propagation]) => propagation),
)

/**
 * Checks what can be checked before it is known whether anything is begun. Options that would go unused are refused too: one
 * who gives a deadline relies on it.
 *
 * @throws CONFIG
 */
export function checkBegin(options: BeginTransactionOptions): void {
  const { propagation = 'required', deadlineMs, retries } = options
  if (!Object.hasOwn(propagations, propagation)) throw unknownPropagation(propagation)
  checkMs('deadlineMs', deadlineMs)
  checkWhole('retries', retries, { min: 0, max: retriesLimit })
  checkIdentity(options)
  if (beginning.has(propagation)) return
  for (const option of termNames) {
    if (options[option] === undefined) continue
    throw dbContextError(
      'CONFIG',
      `Option ${option} was given with propagation ${propagation}, which never begins a transaction: leave it out`,
      { details: { option, got: options[option], propagation } },
    )
  }
}

/** @throws CONFIG */
function checkIdentity({ id, now }: BeginTransactionOptions): void {
  if (id !== undefined && !/^[\w-]{1,128}$/.test(id)) {
    throw dbContextError('CONFIG', 'Option id of a transaction is not 1 to 128 letters, digits, - and _', {
      details: { option: 'id', got: String(id).slice(0, 200) },
    })
  }
  if (now === undefined || !Number.isNaN(now.getTime())) return
  throw dbContextError('CONFIG', 'Option now of a transaction is not a valid date', { details: { option: 'now' } })
}

/** @throws CONFIG */
export function refuseInnerIdentity(options: BeginTransactionOptions): void {
  for (const option of ['id', 'now'] as const) {
    if (options[option] === undefined) continue
    throw dbContextError(
      'CONFIG',
      `Option ${option} was given inside another transaction, whose own decides on it: leave it out`,
      { details: { option } },
    )
  }
}

export function termsOf(options: BeginTransactionOptions, deadlineMsDefault: number): TransactionTerms {
  const { deadlineMs = deadlineMsDefault, retries = retriesDefault, readConcern, writeConcern } = options
  return { deadlineMs, retries, readConcern, writeConcern }
}

/**
 * Refuses to join a transaction on terms that it does not have: ignored, a shorter deadline or a stronger concern would be
 * a promise that nobody keeps.
 *
 * @throws CONFIG
 */
export function refuseOtherTerms(
  { id, name, terms }: { readonly id: string; readonly name: string | undefined; readonly terms: TransactionTerms },
  options: BeginTransactionOptions,
): void {
  for (const option of termNames) {
    const got = options[option]
    const expected = terms[option]
    if (got === undefined || isKept(option, got, expected)) continue
    throw dbContextError(
      'CONFIG',
      `Option ${option} is ${print(got)}, but transaction ${name ?? id}, which this one joins, has ${print(expected)}: ` +
        "leave it out, or begin a transaction of its own with propagation 'requires-new'",
      { details: { option, got, expected, transaction: id } },
    )
  }
}

const print = (value: unknown) => (value === undefined ? 'none' : JSON.stringify(value))

/** A deadline is the longest that may pass: one that is no shorter than the transaction's is kept by it. */
function isKept(option: (typeof termNames)[number], got: unknown, expected: unknown): boolean {
  return isEqual(got, expected) || (option === 'deadlineMs' && Number(got) > Number(expected))
}

/** Concerns are compared by what they say, not by the order of their fields. */
function isEqual(one: unknown, two: unknown): boolean {
  if (typeof one !== 'object' || one === null || typeof two !== 'object' || two === null) return one === two
  const sorted = (value: object) => JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
  return sorted(one) === sorted(two)
}

function unknownPropagation(got: unknown) {
  const expected = Object.keys(propagations)
  return dbContextError('CONFIG', `Option propagation is ${String(got)}, expected one of ${expected.join(', ')}`, {
    details: { option: 'propagation', got, expected },
  })
}
