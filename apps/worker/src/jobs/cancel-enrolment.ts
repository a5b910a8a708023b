import type { EnrolmentInput, School } from '@strata/school'

/** Safe to run any number of times, before, while and after the steps that it undoes. */
export const cancelEnrolmentHandler = (school: School) => (enrolment: EnrolmentInput) =>
  school.db.transaction.begin(
    async () => {
      if (!(await close(school, enrolment))) return { cancelled: false }
      await payBack(school, enrolment)
      await school.students.updateOne(
        { _id: enrolment.studentId },
        { $pull: { enrolments: { id: enrolment.enrolmentId } }, $addToSet: { cancelled: enrolment.enrolmentId } },
      )
      return { cancelled: true }
    },
    { name: 'enrolment.cancel' },
  )

/**
 * True when the enrolment did not come about. Taking its id conflicts with a commit that is still in doubt, so that the
 * answer cannot become wrong later.
 */
async function close({ enrolments }: School, { enrolmentId, studentId, course, feeCents }: EnrolmentInput) {
  const found = await enrolments.findOne({ _id: enrolmentId })
  if (!found) await enrolments.insertOne({ _id: enrolmentId, studentId, course, feeCents, state: 'cancelled' })
  return found?.state !== 'enrolled'
}

async function payBack({ charges, accounts }: School, { enrolmentId, studentId }: EnrolmentInput): Promise<void> {
  const charge = await charges.findOne({ _id: enrolmentId })
  if (!charge) {
    await charges.insertOne({ _id: enrolmentId, accountId: studentId, feeCents: 0, state: 'void' })
  } else if (charge.state === 'charged') {
    await charges.updateOne({ _id: enrolmentId }, { $set: { state: 'refunded' } })
    await accounts.updateOne({ _id: charge.accountId }, { $inc: { balanceCents: charge.feeCents } })
  }
}
