import { randomUUID } from 'node:crypto'
import {
  cancelEnrolment,
  chargeAccount,
  type EnrolmentInput,
  schoolRefusals,
  studentNotFound,
  transactionMs,
} from '@strata/school'
import type { Services } from './services.ts'

/** What is known of the charge, which is outside the transaction that awaits it. */
interface Charge {
  made: 'no' | 'perhaps'
}

/**
 * Enrols a student: the enrolment in a transaction here, the charge and the course in jobs that it awaits. When it fails
 * and the charge may have been made, an {@link cancelEnrolment} is on its way by the time this rejects.
 *
 * @throws STUDENT_NOT_FOUND, ACCOUNT_NOT_FOUND, INSUFFICIENT_FUNDS (nothing written where not applied), and what transactions and calls throw
 */
export async function enrol(services: Services, asked: Omit<EnrolmentInput, 'enrolmentId'>) {
  const enrolment = { ...asked, enrolmentId: randomUUID() }
  const charge: Charge = { made: 'no' }
  try {
    return await services.school.db.transaction.begin(() => enrolAndCharge(services, enrolment, charge), {
      name: 'enrolment',
      deadlineMs: transactionMs(services.callTimeoutMs),
    })
  } catch (error) {
    if (charge.made === 'perhaps') await sendCancellation(services, enrolment)
    throw error
  }
}

async function enrolAndCharge(services: Services, enrolment: EnrolmentInput, charge: Charge) {
  const { school } = services
  const { enrolmentId, studentId, course, feeCents } = enrolment
  // Before anything is charged: the job that would find out runs deepest, and the sooner the cheaper.
  if (!(await school.students.findOne({ _id: studentId }, { projection: { _id: 1 } }))) throw studentNotFound(studentId)
  await school.enrolments.insertOne({ _id: enrolmentId, studentId, course, feeCents, state: 'enrolled' })
  const charged = await awaitCharge(services, enrolment, charge)
  return { id: enrolmentId, levels: [school.db.current.level, ...charged.levels] }
}

/**
 * What the job fails with speaks of its last run alone, and an earlier one may have added the course before it failed.
 * So it counts only as a refusal, of which the queue says "not applied" in the first run only. An error of this process
 * counts as it is: the job never started.
 */
const isNothingDone = (error: unknown) =>
  error instanceof Error &&
  'outcome' in error &&
  error.outcome === 'not-applied' &&
  'code' in error &&
  (!('remoteStack' in error) || Object.hasOwn(schoolRefusals, String(error.code)))

/** Only what the call itself says may count as "not charged": whatever fails after it fails after a charge. */
async function awaitCharge({ queues, callTimeoutMs }: Services, enrolment: EnrolmentInput, charge: Charge) {
  charge.made = 'perhaps'
  try {
    return await queues.pushAsync(chargeAccount, enrolment, { deadlineMs: callTimeoutMs })
  } catch (error) {
    if (isNothingDone(error)) charge.made = 'no'
    throw error
  }
}

/** The request has failed already: that it could not be cancelled either is for the log, not for the sender. */
async function sendCancellation({ queues, log }: Services, enrolment: EnrolmentInput): Promise<void> {
  try {
    await queues.push(cancelEnrolment, enrolment)
    log.warn({ enrolment }, 'Enrolment failed after its charge was sent: cancelling it')
  } catch (error) {
    log.error(
      { err: error, enrolment },
      'Enrolment failed after its charge was sent, and cannot be cancelled: refund it',
    )
  }
}
