import { type ErrorSpec, errorFactory } from './error.ts'

const refused = { outcome: 'not-applied', transient: false } as const
const later = { outcome: 'not-applied', transient: true } as const
const unknown = { outcome: 'unknown', transient: false } as const

/** Every error that `db-context` throws; `docs/reference/errors.md` is kept equal to it by a test. */
export const dbContextErrors = {
  ABORTED: { ...unknown, when: 'The unit of work was given up through its `signal`' },
  ANCESTOR_LOCK: {
    ...refused,
    when: 'A write waited for a document that a transaction has written which awaits this very work, or probably has (`details.certain`)',
  },
  COMMIT_UNKNOWN: {
    ...unknown,
    when: 'A commit was sent and its answer never came: the data must be asked. Neither hooks ran nor pushes were sent (`details.unpushed`)',
  },
  CONFIG: { ...refused, when: 'An option has a value that cannot work, or two settings contradict each other' },
  CONTEXT_ENDED: {
    ...refused,
    when: 'A statement came after its unit of work had ended, from a timer or a lost promise',
  },
  CONTEXT_MISSING: { ...refused, when: 'A statement or a verb was used outside any unit of work' },
  DATASOURCE_UNKNOWN: { ...refused, when: 'The named datasource is not one of this context' },
  DEADLINE_EXCEEDED: { ...unknown, when: 'The unit of work did not end within its `deadlineMs`' },
  HEADER_INVALID: { ...refused, when: 'The header that carries the context of a caller over HTTP cannot be read' },
  HOLD_AND_WAIT: {
    ...refused,
    when: 'An enclosing scope holds a permit or a slot that ranks the same as, or above, the one waited for',
  },
  LEVEL_INVALID: { ...refused, when: 'A level is not a whole number of at least 0' },
  LEVEL_LIMIT: { ...refused, when: 'A level is deeper than `levels.max`' },
  LEVEL_ORDER: {
    ...refused,
    when: 'A wait would go sideways or upwards: to a level, or to a datasource, that ranks lower',
  },
  LOCK_BLOCKED: {
    ...later,
    when: 'A job that has applied nothing yet met a document that other work holds: its worker puts it back into its lane',
  },
  LOCK_ORDER: {
    ...refused,
    when: 'A lock over processes was to be waited for while something was held that may be waited for with the lock in hand: a transaction, a connection, a slot, a caller, a later lock. Also reported, as `applied` and never thrown: a collection is written at a deeper level than one at which transactions hold it across a wait',
  },
  LOCK_TIMEOUT: { ...later, when: 'Other work held a document for longer than `lockWaitMs`' },
  MESSAGE_IN_PROGRESS: {
    ...later,
    when: 'The same message is being handled by another run: the worker of a job puts it back, until that one has ended',
  },
  NOT_AN_ERROR: {
    ...refused,
    when: 'The body of a transaction threw something that is not an error; it is the `cause`',
  },
  OTHER_DATASOURCE: {
    ...refused,
    when: 'A statement on one datasource came inside a transaction of another, without `switchDb`',
  },
  POOL_TIMEOUT: { ...later, when: 'No permit of a pool came free within `pool.timeoutMs`' },
  PROPAGATION_UNSUPPORTED: { ...refused, when: 'Propagation `nested` was asked for, which needs savepoints' },
  RETRIES_EXHAUSTED: { ...later, when: 'A transaction failed with a transient error more often than `retries` allows' },
  RETRY_UNSAFE: {
    ...unknown,
    when: 'A transaction failed with a transient error after its body had caused what a second run would repeat (an inner commit, a call whose end is not known), so it was not run again',
  },
  ROLLBACK_ONLY: {
    ...refused,
    when: 'A transaction was to be committed although a part of it had failed and the error had been caught, or it was marked so; transient where its `cause` is',
  },
  STOPPED: { ...later, when: 'The context is stopping or stopped and takes no more work: another process may' },
  TRANSACTION_ENDED: { ...refused, when: 'A statement came after its transaction had ended' },
  TRANSACTION_MISSING: { ...refused, when: 'A verb that needs an open transaction was used outside one' },
  TRANSACTION_NOT_ALLOWED: { ...refused, when: 'Propagation `never` was used inside an open transaction' },
  TRANSACTION_REQUIRED: {
    ...refused,
    when: 'Propagation `mandatory` was used outside any open transaction of this level',
  },
  TRANSACTION_TIMEOUT: { ...later, when: 'A transaction was not ready to commit within its `deadlineMs`' },
} as const satisfies Record<string, ErrorSpec>

export type DbContextErrorCode = keyof typeof dbContextErrors

export const dbContextError = errorFactory(dbContextErrors)
