import { type School, studentNotFound } from '@strata/school'

/** @throws STUDENT_NOT_FOUND */
export const renameStudentHandler =
  ({ db, students }: School) =>
  async ({ studentId, name }: { studentId: string; name: string }) => {
    const { matchedCount } = await students.updateOne({ _id: studentId }, { $set: { name } })
    if (matchedCount === 0) throw studentNotFound(studentId)
    return { levels: [db.current.level] }
  }
