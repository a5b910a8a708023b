import { STATUS_CODES } from 'node:http'
import { consistencyErrors } from '@strata/consistency/errors'
import type { Outcome } from '@strata/db-context'
import { schoolErrors } from '@strata/school'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { apiError, apiErrors } from './errors.ts'

/** The status of each code that has one of its own; every other is 500. */
const statuses: ReadonlyMap<string, number> = new Map(
  Object.entries({
    ACCOUNT_EXISTS: 409,
    ACCOUNT_NOT_FOUND: 404,
    ADMISSION_FULL: 503,
    BODY_INVALID: 400,
    BODY_TOO_LARGE: 413,
    CALL_EXPIRED: 504,
    CALL_TIMEOUT: 504,
    ENROLMENT_CANCELLED: 409,
    EXPECTATION_UNSUPPORTED: 417,
    HEADERS_TOO_LARGE: 431,
    HTTP_INVALID: 400,
    IDEMPOTENCY_IN_PROGRESS: 409,
    IDEMPOTENCY_KEY_REUSED: 422,
    INSUFFICIENT_FUNDS: 409,
    MEDIA_TYPE_UNSUPPORTED: 415,
    POOL_TIMEOUT: 503,
    QUEUE_STOPPED: 503,
    REQUEST_INVALID: 400,
    REQUEST_TIMEOUT: 408,
    ROUTE_NOT_FOUND: 404,
    STOPPED: 503,
    STUDENT_NOT_FOUND: 404,
    TRANSFER_CANCELED: 409,
    TRANSFER_ID_REUSED: 409,
    TRANSFER_IN_FORCE: 409,
    TRANSFER_NOT_DONE: 409,
    TRANSFER_NOT_FOUND: 404,
    URL_INVALID: 400,
  }),
)

/** What Fastify finds before a handler runs. */
const frameworkCodes = new Map<string, keyof typeof apiErrors>([
  ['FST_ERR_BAD_URL', 'URL_INVALID'],
  ['FST_ERR_MAX_PARAM_LENGTH', 'ROUTE_NOT_FOUND'],
  ['FST_ERR_CTP_BODY_TOO_LARGE', 'BODY_TOO_LARGE'],
  ['FST_ERR_CTP_EMPTY_JSON_BODY', 'BODY_INVALID'],
  ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', 'BODY_INVALID'],
  ['FST_ERR_CTP_INVALID_JSON_BODY', 'BODY_INVALID'],
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'MEDIA_TYPE_UNSUPPORTED'],
  ['FST_ERR_CTP_INVALID_TYPE', 'MEDIA_TYPE_UNSUPPORTED'],
])

/** Their messages repeat what a driver or a stranger's code said: addresses, perhaps worse. */
const opaque = new Set(['JOB_FAILED', 'REDIS_UNREACHABLE', 'SEND_FAILED', 'SERVER_UNREACHABLE'])

const retryAfterSeconds = 1

export const problemMediaType = 'application/problem+json'

/** RFC 9457, with three members of our own: `code`, `outcome` and `transient`. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('What to branch on'),
    outcome: z.enum(['applied', 'not-applied', 'unknown']).describe('What became of the work'),
    transient: z.boolean().describe('Whether the same request may succeed later as it is'),
    detail: z.string(),
    id: z.string().optional().describe('Of what the request has made all the same: a transfer that was canceled'),
  })
  .meta({
    id: 'Problem',
    examples: [
      {
        type: 'urn:strata:problem:insufficient-funds',
        title: 'The balance of the account is smaller than the fee',
        status: 409,
        code: 'INSUFFICIENT_FUNDS',
        outcome: 'not-applied',
        transient: false,
        detail: 'Account 7 holds 100 cents, the fee is 500 cents: nothing was charged',
      },
    ],
  })

export type Problem = z.output<typeof problemSchema>

export function statusOf(code: string): number {
  return statuses.get(code) ?? 500
}

/** What a client is told of an error: nothing of an unforeseen one but that it is in the log, and never a stack. */
export function problemOf(error: unknown, requestId: string): Problem {
  const { code, outcome, transient, message, details } = typed(error, requestId)
  const status = statusOf(code)
  return {
    type: `urn:strata:problem:${code.toLowerCase().replaceAll('_', '-')}`,
    title: titles.get(code) ?? STATUS_CODES[status] ?? 'Error',
    status,
    code,
    outcome,
    transient,
    detail: message,
    ...(code in schoolErrors && typeof details?.['id'] === 'string' ? { id: details['id'] } : {}),
  }
}

const titles: ReadonlyMap<string, string> = new Map(
  Object.entries({ ...consistencyErrors, ...schoolErrors, ...apiErrors }).map(([code, { when }]) => [code, when]),
)

interface Typed {
  readonly code: string
  readonly outcome: Outcome
  readonly transient: boolean
  readonly message: string
  readonly details?: Readonly<Record<string, unknown>>
}

function typed(error: unknown, requestId: string): Typed {
  if (hasZodFastifySchemaValidationErrors(error)) return apiError('REQUEST_INVALID', describeIssues(error))
  if (isTyped(error)) return opaque.has(error.code) ? { ...pick(error), message: hidden(requestId) } : error
  const code = error instanceof Error && 'code' in error ? frameworkCodes.get(String(error.code)) : undefined
  if (code === 'MEDIA_TYPE_UNSUPPORTED') return apiError(code, 'Body has another content type than application/json')
  if (code) return apiError(code, (error as Error).message)
  return apiError('INTERNAL', hidden(requestId))
}

/** Not by `instanceof`: two copies of a package may be installed, and errors come from other processes. */
const isTyped = (error: unknown): error is Typed =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && 'outcome' in error

const pick = ({ code, outcome, transient }: Typed) => ({ code, outcome, transient })

const hidden = (requestId: string) => `Request ${requestId} failed: the reason is in the log of the API process`

function describeIssues(error: Pick<FastifyError, 'validationContext'> & { validation: readonly Issue[] }): string {
  const where = error.validationContext ?? 'request'
  return error.validation
    .map(({ instancePath, message }) => `${where}${instancePath.replace(/\/$/, '')}: ${message ?? 'invalid'}`)
    .join('; ')
}

interface Issue {
  readonly instancePath: string
  readonly message?: string | undefined
}

/** Answers with the problem; what is not the sender's doing is logged with its cause and its stack. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(error, request.id)
  if (problem.status >= 500 && problem.status !== 503) request.log.error({ err: error }, 'request failed')
  if (problem.status === 503 || problem.code === 'IDEMPOTENCY_IN_PROGRESS') {
    void reply.header('retry-after', retryAfterSeconds)
  }
  // Sent as text: problems come up on routes whose own response schemas know nothing of them.
  return reply.code(problem.status).type(problemMediaType).send(JSON.stringify(problem))
}
