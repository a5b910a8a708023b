import { type ErrorSpec, errorFactory } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const

/** Every error of the school itself, whichever process finds it. */
export const schoolErrors = {
  ACCOUNT_EXISTS: { ...refused, when: 'An account with this id is there already' },
  ACCOUNT_NOT_FOUND: { ...refused, when: 'No account has this id' },
  ENROLMENT_CANCELLED: { ...refused, when: 'The enrolment was cancelled before this step of it ran' },
  INSUFFICIENT_FUNDS: { ...refused, when: 'The balance of the account is smaller than the fee' },
  SETTING_INVALID: { ...refused, when: 'An environment variable is missing or has a value that cannot work' },
  STUDENT_NOT_FOUND: { ...refused, when: 'No student has this id' },
} as const satisfies Record<string, ErrorSpec>

export const schoolError = errorFactory(schoolErrors)

export const studentNotFound = (id: string) =>
  schoolError('STUDENT_NOT_FOUND', `No student has the id ${id}`, { details: { studentId: id } })

export const accountNotFound = (id: string) =>
  schoolError('ACCOUNT_NOT_FOUND', `No account has the id ${id}`, { details: { accountId: id } })
