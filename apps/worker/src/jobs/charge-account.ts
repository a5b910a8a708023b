import { atLeast } from '@strata/consistency/two-phase-commit'
import type { Queues } from '@strata/queue'
import {
  accountNotFound,
  addCourse,
  type EnrolmentInput,
  type School,
  schoolError,
  settleEnrolment,
  settleMs,
  transactionMs,
} from '@strata/school'

export interface ChargeOptions {
  readonly school: School
  readonly queues: Queues
  /** The longest wait for the course to be added, in milliseconds. */
  readonly callTimeoutMs: number
}

/**
 * A charge is committed together with the job that settles it, so it is paid back if its enrolment fails, whoever is killed.
 *
 * @throws ACCOUNT_NOT_FOUND, INSUFFICIENT_FUNDS, ENROLMENT_CANCELLED, and what adding the course throws
 */
export const chargeAccountHandler =
  ({ school, queues, callTimeoutMs }: ChargeOptions) =>
  (enrolment: EnrolmentInput) =>
    school.db.transaction.begin(
      async () => {
        // The account is written before the call, never after it: a conflict over it can then still be met by running
        // the transaction again, and nothing that is known to fail has been sent anywhere.
        if (await chargeOnce(school, enrolment)) {
          await queues.push(settleEnrolment, enrolment, { delay: settleMs(callTimeoutMs) })
        }
        const { feeCents, ...course } = enrolment
        const added = await queues.pushAsync(addCourse, course, { deadlineMs: callTimeoutMs })
        return { levels: [school.db.current.level, ...added.levels] }
      },
      { name: 'account.charge', deadlineMs: transactionMs(callTimeoutMs) },
    )

/** A job is delivered at least once: a second delivery finds the charge of the first by the enrolment's id, and gets false. */
async function chargeOnce(school: School, { enrolmentId, studentId, feeCents }: EnrolmentInput): Promise<boolean> {
  const earlier = await school.charges.findOne({ _id: enrolmentId })
  if (earlier?.state === 'charged') return false
  if (earlier) {
    throw schoolError('ENROLMENT_CANCELLED', `Enrolment ${enrolmentId} was cancelled before it was charged`, {
      details: { enrolmentId },
    })
  }
  await withdraw(school, studentId, feeCents)
  await school.charges.insertOne({ _id: enrolmentId, accountId: studentId, feeCents, state: 'charged' })
  return true
}

async function withdraw({ accounts }: School, accountId: string, feeCents: number): Promise<void> {
  // Not what a transfer is still to bring: that may be taken back.
  const enough = { _id: accountId, ...atLeast('balanceCents', feeCents) }
  const { matchedCount } = await accounts.updateOne(enough, { $inc: { balanceCents: -feeCents } })
  if (matchedCount === 1) return
  const account = await accounts.findOne({ _id: accountId })
  if (!account) throw accountNotFound(accountId)
  const { balanceCents } = account
  throw schoolError(
    'INSUFFICIENT_FUNDS',
    `Account ${accountId} holds ${balanceCents} cents, the fee is ${feeCents} cents: nothing was charged`,
    { details: { accountId, balanceCents, feeCents } },
  )
}
