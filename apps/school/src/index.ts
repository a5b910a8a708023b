export type { Account, Audit, Charge, Collections, Enrolment, Student, Welcome } from './collections.ts'
export {
  addCourse,
  cancelEnrolment,
  chargeAccount,
  type EnrolmentInput,
  renameStudent,
  settleEnrolment,
  welcomeStudent,
} from './contracts.ts'
export { accountNotFound, listenFailed, schoolError, schoolErrors, schoolRefusals, studentNotFound } from './errors.ts'
export { amountField, centsField, courseField, idField, levelsField, nameField } from './fields.ts'
export { type Health, pingMsMax, readHealth } from './health.ts'
export { createLog, type Logger } from './log.ts'
export { reportFailedStart, stopAtProcessEnd } from './process-end.ts'
export { reporter } from './reporter.ts'
export { openSchool, type School, type SchoolSettings } from './school.ts'
export { port, readSettings, settings } from './settings.ts'
export { stopInOrder } from './stop-steps.ts'
export { settleMs, transactionMs } from './transaction-time.ts'
