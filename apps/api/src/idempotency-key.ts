import type { Answered, KeyedRequest } from '@strata/consistency/idempotency'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { Services } from './services.ts'

const header = 'idempotency-key'

/** Loose: what a schema of headers leaves out would be gone for everybody. */
export const keyHeaders = z.looseObject({
  [header]: z
    .string()
    .regex(/^[\x21-\x7e]{1,255}$/, 'Invalid key: expected 1 to 255 visible ASCII characters')
    .optional()
    .describe(
      'Made up by the sender for this request. For 24 hours a request that is repeated with it is done once, and gets the ' +
        'answer of the first (with the header `Idempotency-Replayed: true`), also when the API process died in between',
    ),
})

/** What a route with {@link keyHeaders} can answer with besides. */
export const keyProblems = ['IDEMPOTENCY_IN_PROGRESS', 'IDEMPOTENCY_KEY_REUSED']

type Terms = NonNullable<KeyedRequest['transaction']>

/** Runs the body of a request, once for its key where it has one. */
export type Once = <Result>(body: () => Promise<Result>, terms: Terms) => Promise<Answered<Result>>

/**
 * Once for the request's key: then the body runs in a transaction that is committed with its answer. Without a key `plain` decides
 * on how it runs.
 */
export function onceFor(
  { idempotency }: Pick<Services, 'idempotency'>,
  { method, routeOptions, headers, params, body: sent }: FastifyRequest,
  plain: <Result>(body: () => Promise<Result>, terms: Terms) => Promise<Result>,
): Once {
  const key = headers[header]
  // The route is a part of the request and not of the key's scope: a key that is used for two routes is a mistake, and told as one.
  const request = { route: `${method} ${routeOptions.url}`, params, body: sent }
  return async (body, transaction) => {
    if (typeof key === 'string') return await idempotency.run({ key, request, transaction }, body)
    return { answer: await plain(body, transaction), replayed: false }
  }
}

/** Answers 201, and says so where the answer is that of an earlier request. */
export async function created<Answer>(reply: FastifyReply, { answer, replayed }: Answered<Answer>): Promise<Answer> {
  if (replayed) tellReplayed(reply)
  void reply.code(201)
  return answer
}

export function tellReplayed(reply: FastifyReply): void {
  void reply.header('idempotency-replayed', 'true')
}
