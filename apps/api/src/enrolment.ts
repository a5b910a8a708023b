import { randomUUID } from 'node:crypto'
import {
  cancelEnrolment,
  chargeAccount,
  type EnrolmentInput,
  schoolError,
  schoolRefusals,
  studentNotFound,
  transactionMs,
  welcomeStudent,
} from '@strata/school'
import { isDuplicateKey } from './duplicate-key.ts'
import type { Once } from './idempotency-key.ts'
import type { Services } from './services.ts'

/** One enrolment under way, and what is known of its charge, which is outside the transaction that awaits it. */
interface Enrolling {
  readonly services: Services
  readonly asked: Omit<EnrolmentInput, 'enrolmentId'>
  enrolment?: EnrolmentInput
  charge: 'no' | 'perhaps' | 'cancelled'
}

/**
 * Enrols a student: the enrolment in a transaction here, the charge and the course in jobs that it awaits. When it fails
 * and the charge may have been made, a {@link cancelEnrolment} is on its way by the time this rejects; should this process die before,
 * the job that was committed with the charge does it. A request that is repeated with its key goes on with the enrolment of the first
 * where that one's end is not known, and is a new one where it was undone.
 *
 * @throws STUDENT_NOT_FOUND, ACCOUNT_NOT_FOUND, INSUFFICIENT_FUNDS, ENROLMENT_CANCELLED (nothing written where not applied), and
 * what transactions and calls throw
 */
export async function enrol(services: Services, asked: Omit<EnrolmentInput, 'enrolmentId'>, once: Once) {
  const enrolling: Enrolling = { services, asked, charge: 'no' }
  const terms = { name: 'enrolment', deadlineMs: transactionMs(services.callTimeoutMs) }
  try {
    return await once(() => enrolAndCharge(enrolling), terms)
  } catch (error) {
    // After a commit whose end is not known, too: the cancellation finds out.
    await cancel(enrolling)
    throw error
  }
}

async function enrolAndCharge(enrolling: Enrolling) {
  const { services, asked } = enrolling
  const { queues, school } = services
  const { db, students, enrolments } = school
  const { studentId, course, feeCents } = asked
  // The same in each run that takes this request up: its jobs have to be the same, too.
  const enrolmentId = db.current.transaction?.id ?? randomUUID()
  const enrolment = { ...asked, enrolmentId }
  enrolling.enrolment = enrolment
  // Before the next request with this key can make a charge of its own, and so before this one has ended.
  db.transaction.afterRollback(() => cancel(enrolling))
  // Before anything is charged: the job that would find out runs deepest, and the sooner the cheaper.
  if (!(await students.findOne({ _id: studentId }, { projection: { _id: 1 } }))) throw studentNotFound(studentId)
  await enrolments
    .insertOne({ _id: enrolmentId, studentId, course, feeCents, state: 'enrolled' })
    .catch(refuseCancelled)
  await queues.push(welcomeStudent, { enrolmentId, studentId, course }, { key: studentId })
  const charged = await awaitCharge(enrolling, enrolment)
  return { id: enrolmentId, levels: [db.current.level, ...charged.levels] }
}

/** Only a cancellation of an earlier request with the same key has taken the id: its charge is, or will be, paid back. */
function refuseCancelled(cause: unknown): never {
  if (!isDuplicateKey(cause)) throw cause
  const text = 'An earlier request with this key failed, and its enrolment was cancelled: send it again'
  throw schoolError('ENROLMENT_CANCELLED', text, { transient: true, cause })
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
async function awaitCharge(enrolling: Enrolling, enrolment: EnrolmentInput) {
  const { queues, callTimeoutMs } = enrolling.services
  enrolling.charge = 'perhaps'
  try {
    return await queues.pushAsync(chargeAccount, enrolment, { deadlineMs: callTimeoutMs })
  } catch (error) {
    if (isNothingDone(error)) enrolling.charge = 'no'
    throw error
  }
}

/** Once, and soon: the charge's own job would come much later. The request has failed already: that this did too is for the log. */
async function cancel(enrolling: Enrolling): Promise<void> {
  const { services, enrolment, charge } = enrolling
  if (enrolment === undefined || charge !== 'perhaps') return
  enrolling.charge = 'cancelled'
  try {
    await services.queues.push(cancelEnrolment, enrolment)
    services.log.warn({ enrolment }, 'Enrolment failed after its charge was sent: cancelling it')
  } catch (error) {
    services.log.error(
      { err: error, enrolment },
      'Enrolment failed after its charge was sent, and cannot be cancelled now: its charge is settled later',
    )
  }
}
