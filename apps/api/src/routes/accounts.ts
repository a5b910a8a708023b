import { accountNotFound, centsField, idField, schoolError } from '@strata/school'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { isDuplicateKey } from '../duplicate-key.ts'
import { created, keyHeaders, keyProblems, onceFor } from '../idempotency-key.ts'
import { answer, problems, usualProblems } from '../responses.ts'
import type { Services } from '../services.ts'

const example = { id: '6f1d2c1e-3f0f-4f6e-9f7e-3d1f0e9a7b11', balanceCents: 50_000 }
const opened = z.strictObject({ id: idField, balanceCents: centsField }).meta({ examples: [example] })
const account = answer(
  z.object({
    id: z.string(),
    balanceCents: z.int(),
    pendingCents: z
      .int()
      .optional()
      .describe('What transfers under way have reserved (less than 0) or are to bring; not in the balance'),
  }),
  example,
)

export const accountRoutes: FastifyPluginAsyncZod<Services> = async (app, services) => {
  const { school, work } = services

  /** The unique key decides, not a look beforehand: of two at once exactly one gets the id. */
  async function open({ id, balanceCents }: z.output<typeof opened>) {
    try {
      await school.accounts.insertOne({ _id: id, balanceCents })
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
      throw schoolError('ACCOUNT_EXISTS', `Account ${id} exists`, { details: { accountId: id }, cause: error })
    }
    return { id, balanceCents }
  }

  app.post(
    '/accounts',
    {
      schema: {
        summary: 'Opens an account',
        description: 'Enrolments are paid from the account whose id is the student’s.',
        headers: keyHeaders,
        body: opened,
        response: { 201: account, ...problems('ACCOUNT_EXISTS', ...keyProblems, ...usualProblems) },
      },
    },
    async (request, reply) => {
      const once = onceFor(services, request, body => body())
      const { body } = request
      return await created(reply, await work('POST /accounts', () => once(() => open(body), { name: 'account.open' })))
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
      const found = await work('GET /accounts/:id', () => school.transfers.balance(id))
      if (!found) throw accountNotFound(id)
      const { balanceCents, pendingCents } = found
      return { id, balanceCents, ...(pendingCents === 0 ? {} : { pendingCents }) }
    },
  )
}
