import { randomUUID } from 'node:crypto'
import type { Inbox } from '@strata/consistency/inbox'
import { type EnrolmentInput, type School, studentNotFound } from '@strata/school'

/** A welcome has an id of its own, so nothing but the inbox keeps a second delivery from writing another. @throws STUDENT_NOT_FOUND */
export const welcomeStudentHandler = ({ students, welcomes }: School, inbox: Inbox) =>
  inbox.once(
    async ({ enrolmentId, studentId, course }: Omit<EnrolmentInput, 'feeCents'>) => {
      const student = await students.findOne({ _id: studentId })
      if (!student) throw studentNotFound(studentId)
      const _id = randomUUID()
      await welcomes.insertOne({ _id, enrolmentId, studentId, text: `Welcome to ${course}, ${student.name}` })
      return { welcomed: _id }
    },
    { key: ({ enrolmentId }) => enrolmentId },
  )
