import { accountNotFound, centsField, idField, schoolError } from '@strata/school'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { answer, problems, usualProblems } from '../responses.ts'
import type { Services } from '../services.ts'

const example = { id: '6f1d2c1e-3f0f-4f6e-9f7e-3d1f0e9a7b11', balanceCents: 50_000 }
const opened = z.strictObject({ id: idField, balanceCents: centsField }).meta({ examples: [example] })
const account = answer(z.object({ id: z.string(), balanceCents: z.int() }), example)

export const accountRoutes: FastifyPluginAsyncZod<Services> = async (app, { school, work }) => {
  app.post(
    '/accounts',
    {
      schema: {
        summary: 'Opens an account',
        description: 'Enrolments are paid from the account whose id is the student’s.',
        body: opened,
        response: { 201: account, ...problems('ACCOUNT_EXISTS', ...usualProblems) },
      },
    },
    async ({ body: { id, balanceCents } }, reply) => {
      try {
        await work('POST /accounts', () => school.accounts.insertOne({ _id: id, balanceCents }))
      } catch (error) {
        // The unique key decides, not a look beforehand: of two at once exactly one gets the id.
        if (isDuplicateKey(error)) {
          throw schoolError('ACCOUNT_EXISTS', `Account ${id} exists`, { details: { accountId: id }, cause: error })
        }
        throw error
      }
      return await reply.code(201).send({ id, balanceCents })
    },
  )

  app.get(
    '/accounts/:id',
    {
      schema: {
        summary: 'Shows the balance of an account',
        params: z.object({ id: z.string() }),
        response: { 200: account, ...problems('ACCOUNT_NOT_FOUND', 'ADMISSION_FULL', 'POOL_TIMEOUT', 'INTERNAL') },
      },
    },
    async ({ params: { id } }) => {
      const found = await work('GET /accounts/:id', () => school.accounts.findOne({ _id: id }))
      if (!found) throw accountNotFound(id)
      return { id: found._id, balanceCents: found.balanceCents }
    },
  )
}

const duplicateKeyCode = 11_000

const isDuplicateKey = (error: unknown) => error instanceof Error && 'code' in error && error.code === duplicateKeyCode
