import { type EnrolmentInput, type School, schoolError, studentNotFound } from '@strata/school'

/** @throws STUDENT_NOT_FOUND, ENROLMENT_CANCELLED */
export const addCourseHandler =
  ({ db, students }: School) =>
  async ({ enrolmentId, studentId, course }: Omit<EnrolmentInput, 'feeCents'>) => {
    // One document decides, so that a cancellation at the same moment comes wholly before or wholly after.
    const { matchedCount } = await students.updateOne(
      { _id: studentId, cancelled: { $ne: enrolmentId } },
      { $addToSet: { enrolments: { id: enrolmentId, course } } },
    )
    if (matchedCount === 0) throw await refusal(students, { enrolmentId, studentId })
    return { levels: [db.current.level] }
  }

async function refusal(students: School['students'], ids: { enrolmentId: string; studentId: string }) {
  const student = await students.findOne({ _id: ids.studentId })
  if (!student) return studentNotFound(ids.studentId)
  const text = `Enrolment ${ids.enrolmentId} was cancelled before its course was added`
  return schoolError('ENROLMENT_CANCELLED', text, { details: ids })
}
