import { type ErrorSpec, errorFactory } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const

/** What the school refuses: trying again as it is ends the same way. */
export const schoolRefusals = {
  ACCOUNT_EXISTS: { ...refused, when: 'An account with this id is there already' },
  ACCOUNT_NOT_FOUND: { ...refused, when: 'No account has this id' },
  ENROLMENT_CANCELLED: { ...refused, when: 'The enrolment was cancelled before this step of it ran' },
  INSUFFICIENT_FUNDS: { ...refused, when: 'The balance of the account is smaller than the fee, or the amount' },
  STUDENT_NOT_FOUND: { ...refused, when: 'No student has this id' },
  TRANSFER_CANCELED: { ...refused, when: 'The transfer was canceled before it was in force: nothing was moved' },
  TRANSFER_ID_REUSED: { ...refused, when: 'The id is that of another transfer' },
  TRANSFER_IN_FORCE: {
    outcome: 'applied',
    transient: false,
    when: 'The transfer is in force and cannot be canceled any more: reverse it',
  },
  TRANSFER_NOT_DONE: { ...refused, when: 'The transfer is not done, so that there is nothing to take back' },
  TRANSFER_NOT_FOUND: { ...refused, when: 'No transfer has this id' },
} as const satisfies Record<string, ErrorSpec>

/** Every error of the school itself, whichever process finds it. */
export const schoolErrors = {
  ...schoolRefusals,
  TRANSFER_IN_DOUBT: {
    outcome: 'unknown',
    transient: true,
    when: 'A request failed after its transfer was begun: the same request again finds it',
  },
  TRANSFER_UNREADABLE: { outcome: 'unknown', transient: false, when: 'The record of a transfer cannot be read' },
  LISTEN_FAILED: { ...refused, when: 'The address and port cannot be listened on' },
  SETTING_INVALID: { ...refused, when: 'An environment variable is missing or has a value that cannot work' },
  STOP_INCOMPLETE: {
    outcome: 'unknown',
    transient: false,
    when: 'A process could not stop in order within its time: it ends all the same',
  },
} as const satisfies Record<string, ErrorSpec>

export const schoolError = errorFactory(schoolErrors)

export const studentNotFound = (id: string) =>
  schoolError('STUDENT_NOT_FOUND', `No student has the id ${id}`, { details: { studentId: id } })

export const accountNotFound = (id: string) =>
  schoolError('ACCOUNT_NOT_FOUND', `No account has the id ${id}`, { details: { accountId: id } })

/** `change` names the settings that choose another address. */
export function listenFailed({ host, port, change }: { host: string; port: number; change: string }, cause: unknown) {
  const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause)
  return schoolError('LISTEN_FAILED', `Cannot listen on ${host}:${port} (${reason}): change ${change}`, {
    details: { host, port, reason },
    cause,
  })
}
