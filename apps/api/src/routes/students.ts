import { randomUUID } from 'node:crypto'
import { levelsField, nameField, renameStudent, type Student, studentNotFound, transactionMs } from '@strata/school'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { created, keyHeaders, keyProblems, onceFor } from '../idempotency-key.ts'
import { answer, problems, usualProblems } from '../responses.ts'
import type { Services } from '../services.ts'

const exampleId = '6f1d2c1e-3f0f-4f6e-9f7e-3d1f0e9a7b11'

const named = z.strictObject({ name: nameField }).meta({ examples: [{ name: 'Ada Lovelace' }] })
const byId = z.object({ id: z.string() })
const student = answer(z.object({ id: z.string(), name: z.string(), courses: z.array(z.string()) }), {
  id: exampleId,
  name: 'Ada Lovelace',
  courses: [],
})
const renamed = answer(z.object({ id: z.string(), name: z.string(), levels: levelsField }), {
  id: exampleId,
  name: 'Ada King',
  levels: [0, 1],
})

const shown = ({ _id, name, enrolments }: Student) => ({
  id: _id,
  name,
  courses: [...new Set(enrolments.map(({ course }) => course))],
})

export const studentRoutes: FastifyPluginAsyncZod<Services> = async (app, services) => {
  const { school, work } = services

  app.post(
    '/students',
    {
      schema: {
        summary: 'Adds a student',
        headers: keyHeaders,
        body: named,
        response: { 201: student, ...problems(...keyProblems, ...usualProblems) },
      },
    },
    async (request, reply) => {
      const once = onceFor(services, request, body => body())
      const { name } = request.body
      const add = async () => {
        const added: Student = { _id: randomUUID(), name, enrolments: [] }
        await school.students.insertOne({ ...added })
        return shown(added)
      }
      return await created(reply, await work('POST /students', () => once(add, { name: 'student.add' })))
    },
  )

  app.get(
    '/students/:id',
    {
      schema: {
        summary: 'Shows a student and the courses they take, each once',
        params: byId,
        response: { 200: student, ...problems('STUDENT_NOT_FOUND', 'ADMISSION_FULL', 'POOL_TIMEOUT', 'INTERNAL') },
      },
    },
    async ({ params: { id } }) => {
      const found = await work('GET /students/:id', () => school.students.findOne({ _id: id }))
      if (!found) throw studentNotFound(id)
      return shown(found)
    },
  )

  app.put(
    '/students/:id/name',
    {
      schema: {
        summary: 'Renames a student: a transaction that awaits a job',
        description:
          'Level 0 opens a transaction, writes an audit row and awaits a job; the job updates the student at level 1; then both are committed. ' +
          '`levels` are the levels that the two ran at. The rename is committed before the audit row and is not undone with it: ' +
          'when the answer is a 5xx other than 503, read the student to learn its name.',
        params: byId,
        body: named,
        response: { 200: renamed, ...problems('STUDENT_NOT_FOUND', 'CALL_TIMEOUT', ...usualProblems) },
      },
    },
    ({ params: { id }, body: { name } }) => work('PUT /students/:id/name', () => rename(services, { id, name })),
  )
}

/** The seed's scenario: with one pool and one lane, every connection could be held by requests that wait for this job. */
function rename({ school, queues, callTimeoutMs }: Services, { id, name }: { id: string; name: string }) {
  return school.db.transaction.begin(
    async () => {
      await school.audits.insertOne({ _id: randomUUID(), studentId: id, what: `renamed to ${name}`, at: new Date() })
      const job = await queues.pushAsync(renameStudent, { studentId: id, name }, { deadlineMs: callTimeoutMs })
      return { id, name, levels: [school.db.current.level, ...job.levels] }
    },
    { name: 'student.rename', deadlineMs: transactionMs(callTimeoutMs) },
  )
}
