import type { ErrorSpec } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const
const later = { outcome: 'not-applied', transient: true } as const
const unknown = { outcome: 'unknown', transient: false } as const

/** The errors of two-phase commit. Some are thrown, some are the `cause` of a transaction that was canceled, or what keeps one stuck. */
export const twoPhaseErrors = {
  TWO_PHASE_CANCELED: { ...refused, when: 'Cause: somebody has canceled the transaction before it was in force' },
  TWO_PHASE_CROWDED: {
    ...later,
    when: 'Cause: a participant has as many entries of other transactions as `entriesMax` allows',
  },
  TWO_PHASE_DEFINITION_UNKNOWN: {
    ...unknown,
    when: 'A record names a definition or a participant that this process does not have: another one may',
  },
  TWO_PHASE_GUARD_FAILED: { ...refused, when: 'Cause: a participant does not match its guard' },
  TWO_PHASE_ID_INVALID: {
    ...refused,
    when: 'The id of a transaction is not 1 to 200 well-formed characters, or ends as that of a reverse does',
  },
  TWO_PHASE_ID_REUSED: { ...refused, when: 'The id was used for another transaction: of another definition or input' },
  TWO_PHASE_INPUT_INVALID: {
    ...refused,
    when: 'The input does not fit its schema, or names documents that cannot take part: none, one twice, one of an unknown participant',
  },
  TWO_PHASE_INTERRUPTED: {
    outcome: 'unknown',
    transient: true,
    when: 'The database could not be asked for long enough: run it again with its id, or leave it to recovery',
  },
  TWO_PHASE_IN_TRANSACTION: {
    ...refused,
    when: 'A two-phase commit was asked for inside a transaction, which it would not be rolled back with, and might wait for',
  },
  TWO_PHASE_NOT_DONE: { ...refused, when: 'A transaction was to be reversed that is not `done`' },
  TWO_PHASE_NOT_FOUND: { ...refused, when: 'No transaction has this id, or its window is over' },
  TWO_PHASE_NOT_SETTLED: {
    ...later,
    when: 'A transaction was to be resolved while an update that was sent for it may still arrive: after its lease and `clockSkewMs`',
  },
  TWO_PHASE_NOT_STUCK: {
    ...refused,
    when: 'A transaction was to be resolved that is not stuck, or to an end that its state does not allow',
  },
  TWO_PHASE_PARTICIPANT_MISSING: { ...refused, when: 'Cause: the document of a participant does not exist' },
  TWO_PHASE_PARTICIPANT_VANISHED: {
    ...unknown,
    when: 'Stuck: a document is not there to be reversed, and it may have been applied before it was removed',
  },
  TWO_PHASE_RECORD_INVALID: {
    ...unknown,
    when: 'A record cannot be read: a newer version wrote it, its state is none of the known, or its parts cannot be decoded',
  },
  TWO_PHASE_SETTLED_BEFORE: {
    ...unknown,
    when: 'Stuck: a document tells that the transaction has ended while its record is `pending`, which only a write by hand can bring about',
  },
  TWO_PHASE_STEP_REFUSED: {
    ...refused,
    when: 'Cause, or stuck: the server refuses an update for what it is, as `$inc` of a text or a failed validation',
  },
  TWO_PHASE_TOO_LATE: {
    outcome: 'applied',
    transient: false,
    when: 'A transaction was to be canceled that is in force: `reverse(id)` makes another one with the roles exchanged',
  },
} as const satisfies Record<string, ErrorSpec>
