import type { Answered } from '@strata/consistency/idempotency'
import { reverseId, transactionStates } from '@strata/consistency/two-phase-commit'
import { amountField, idField } from '@strata/school'
import type { FastifyReply } from 'fastify'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { keyHeaders, keyProblems, onceFor, tellReplayed } from '../idempotency-key.ts'
import { answer, problems, usualProblems } from '../responses.ts'
import type { Services } from '../services.ts'
import {
  cancelTransfer,
  findTransfer,
  listTransfers,
  reverseTransfer,
  type ToldTransfer,
  transferMoney,
} from '../transfer.ts'

const example = { from: 'b7a1a1f0', to: '6f1d2c1e', amountCents: 1500 }
const isOwn = (id: string) => !id.endsWith(reverseId(''))
const newId = idField.refine(
  isOwn,
  `Invalid id: one that ends in ${reverseId('')} is that of a transfer that takes another back`,
)
const asked = z
  .strictObject({ id: newId.optional(), from: idField, to: idField, amountCents: amountField })
  .refine(({ from, to }) => from !== to, 'Invalid accounts: expected two different ones')
  .meta({ examples: [example] })
const stateField = z.enum(transactionStates)
const transfer = answer(
  z.object({
    id: z.string(),
    from: z.string(),
    to: z.string(),
    amountCents: z.int(),
    state: stateField,
    reverseOf: z.string().optional().describe('The transfer that this one takes back'),
  }),
  { id: '0d9f4c1e', ...example, state: 'done' },
)

const description = `
In two phases: both accounts note the transfer as pending, then it comes into force for both at once, then the notes go. What is pending
is not spent, by charges neither, and whoever is killed in between, a worker goes on with it.

201 when it has ended within the request, 202 with its state when it goes on. 409 \`INSUFFICIENT_FUNDS\` has the \`id\` of the transfer,
which is kept as canceled. The same \`id\` is the same transfer, however often it is sent; another transfer under it is refused.
`.trim()

const params = z.object({ id: z.string() })
const ofOne = ['TRANSFER_NOT_FOUND', 'ADMISSION_FULL', 'POOL_TIMEOUT', 'INTERNAL']
const refusals = ['INSUFFICIENT_FUNDS', 'ACCOUNT_NOT_FOUND', 'TRANSFER_CANCELED']

/** 201 for one that has ended, 202 for one that goes on. */
function reply201(reply: FastifyReply, { answer: told, replayed }: Answered<ToldTransfer>) {
  if (replayed) tellReplayed(reply)
  void reply.code(told.state === 'done' ? 201 : 202)
  return told
}

export const transferRoutes: FastifyPluginAsyncZod<Services> = async (app, services) => {
  const { work } = services

  app.post(
    '/transfers',
    {
      schema: {
        summary: 'Moves money from one account to another',
        description,
        headers: keyHeaders,
        body: asked,
        response: {
          201: transfer,
          202: transfer,
          ...problems(...refusals, 'TRANSFER_ID_REUSED', 'TRANSFER_IN_DOUBT', ...keyProblems, ...usualProblems),
        },
      },
    },
    async (request, reply) => {
      const asking = { once: onceFor(services, request, body => body()), key: request.headers['idempotency-key'] }
      return reply201(reply, await work('POST /transfers', () => transferMoney(services, request.body, asking)))
    },
  )

  app.get(
    '/transfers',
    {
      schema: {
        summary: 'Lists transfers, oldest in their state first, 100 at most',
        querystring: z.object({ state: stateField.optional() }),
        response: {
          200: z.object({ transfers: z.array(transfer) }),
          ...problems('REQUEST_INVALID', 'ADMISSION_FULL', 'POOL_TIMEOUT', 'INTERNAL'),
        },
      },
    },
    async ({ query: { state } }) => ({ transfers: await work('GET /transfers', () => listTransfers(services, state)) }),
  )

  app.get(
    '/transfers/:id',
    { schema: { summary: 'Shows a transfer', params, response: { 200: transfer, ...problems(...ofOne) } } },
    async ({ params: { id } }) => await work('GET /transfers/:id', () => findTransfer(services, id)),
  )

  app.post(
    '/transfers/:id/cancel',
    {
      schema: {
        summary: 'Cancels a transfer that is not in force yet',
        description:
          'At any moment, whoever works on it. What is in force stays so: 409 `TRANSFER_IN_FORCE`, and a reverse is the way.',
        headers: keyHeaders,
        params,
        response: { 200: transfer, ...problems(...ofOne, 'TRANSFER_IN_FORCE', ...keyProblems) },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const once = onceFor(services, request, body => body())
      const ended = await work('POST /transfers/:id/cancel', () => cancelTransfer(services, id, once))
      if (ended.replayed) tellReplayed(reply)
      return ended.answer
    },
  )

  app.post(
    '/transfers/:id/reverse',
    {
      schema: {
        summary: 'Takes a transfer back that is done, by another one with the roles exchanged',
        description:
          'Once: it is sent again, it is the same. Its own guard may cancel it, as of any transfer: 409, for good.',
        headers: keyHeaders,
        params,
        response: {
          201: transfer,
          202: transfer,
          ...problems(...ofOne, 'TRANSFER_NOT_DONE', ...refusals, ...keyProblems),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const once = onceFor(services, request, body => body())
      return reply201(reply, await work('POST /transfers/:id/reverse', () => reverseTransfer(services, id, once)))
    },
  )
}
