import { centsField, courseField, idField, levelsField } from '@strata/school'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { enrol } from '../enrolment.ts'
import { created, keyHeaders, keyProblems, onceFor } from '../idempotency-key.ts'
import { answer, problems, usualProblems } from '../responses.ts'
import type { Services } from '../services.ts'

const exampleId = '6f1d2c1e-3f0f-4f6e-9f7e-3d1f0e9a7b11'
const asked = z
  .strictObject({ studentId: idField, course: courseField, feeCents: centsField })
  .meta({ examples: [{ studentId: exampleId, course: 'Analytical engines', feeCents: 1500 }] })
const enrolled = answer(z.object({ id: z.string(), levels: levelsField }), {
  id: 'b7a1a1f0-0f4c-4a43-8f5c-0d5e2b6f4c22',
  levels: [0, 1, 2],
})

const description = `
Three levels, each in a process and on connections of its own:

- level 0, this request, writes the enrolment in a transaction and awaits
- level 1, a job, which charges the account whose id is the student's in a transaction of its own and awaits
- level 2, a job, which puts the course on the student's list.

**The charge commits before the caller's transaction and is not undone with it.** A caller that fails after it refunds:
this route does, by a job that cancels the enrolment, also when it does not know whether the charge was made. Should this process
die before it has sent that one, a job that was committed with the charge does the same, once the call's time is over. Until one of
them has run the fee is missing from the balance.

An enrolment is followed by a welcome if, and only if, it was committed.

Refused with nothing written: an unknown student or account (404), too small a balance (409). With the outcome
\`unknown\` an earlier run of the charge may have put the course on the list before it failed: it is cancelled too.
`.trim()

export const enrolmentRoutes: FastifyPluginAsyncZod<Services> = async (app, services) => {
  const codes = [
    'STUDENT_NOT_FOUND',
    'ACCOUNT_NOT_FOUND',
    'INSUFFICIENT_FUNDS',
    'ENROLMENT_CANCELLED',
    'CALL_TIMEOUT',
    ...keyProblems,
    ...usualProblems,
  ]
  app.post(
    '/enrolments',
    {
      schema: {
        summary: 'Enrols a student in a course and charges the fee',
        description,
        headers: keyHeaders,
        body: asked,
        response: { 201: enrolled, ...problems(...codes) },
      },
    },
    async (request, reply) => {
      const { db } = services.school
      const once = onceFor(services, request, (body, terms) => db.transaction.begin(body, terms))
      return await created(reply, await services.work('POST /enrolments', () => enrol(services, request.body, once)))
    },
  )
}
