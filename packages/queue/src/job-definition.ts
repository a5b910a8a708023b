import type { StandardSchemaV1 } from '@standard-schema/spec'
import { dbContextError } from '@strata/db-context'
import type { JobsOptions } from 'bullmq'
import { isKnownBackoff } from './backoff.ts'
import { isQueueName } from './lane.ts'
import type { Schema } from './schema.ts'

/** A contract: declared once, imported by the side that sends and by the side that handles. */
export interface JobDefinition<In extends Schema = Schema, Out extends Schema = Schema> {
  readonly name: string
  /** The queue that carries it; the job's name by default. Jobs of one queue share its lanes. */
  readonly queue: string
  /** The sender gives the schema's input, the handler gets its output. */
  readonly input: In
  /** The handler gives the schema's input, the caller gets its output. */
  readonly output: Out
  /** Runs in all before the job counts as failed; 1 by default. Not spent on a StrataError that was `not-applied` and is not transient. */
  readonly attempts: number | undefined
  readonly backoff: JobsOptions['backoff'] | undefined
  /** How long a call waits at most, in milliseconds, and how long a push may run; 30,000 and no bound by default. */
  readonly deadlineMs: number | undefined
}

export interface DefineJobOptions<In extends Schema, Out extends Schema> {
  readonly name: string
  readonly input: In
  readonly output: Out
  readonly queue?: string
  readonly attempts?: number
  readonly backoff?: JobsOptions['backoff']
  readonly deadlineMs?: number
}

export type JobInput<J extends JobDefinition> = StandardSchemaV1.InferInput<J['input']>
export type JobResult<J extends JobDefinition> = StandardSchemaV1.InferOutput<J['output']>
export type HandlerInput<J extends JobDefinition> = StandardSchemaV1.InferOutput<J['input']>
export type HandlerResult<J extends JobDefinition> = StandardSchemaV1.InferInput<J['output']>

/**
 * Declares a job. The schemas are any Standard Schema (zod, valibot, arktype); both ends check by them.
 *
 * @throws CONFIG for a name that cannot be a queue, or attempts, a backoff or a deadline that cannot work
 */
export function defineJob<In extends Schema, Out extends Schema>(
  options: DefineJobOptions<In, Out>,
): JobDefinition<In, Out> {
  const { name, input, output, queue = name, attempts, backoff, deadlineMs } = options
  expect('name', name, { ok: name.length > 0 && name.length <= 200, to: 'a name of 1 to 200 characters' })
  expect('queue', queue, { ok: isQueueName(queue), to: "1 to 200 characters without ':' and '~'" })
  expect('attempts', attempts, { ok: isWhole(attempts), to: 'a whole number of at least 1' })
  expect('backoff', JSON.stringify(backoff), {
    ok: isKnownBackoff(backoff),
    to: 'milliseconds, or a type of fixed or exponential',
  })
  expect('deadlineMs', deadlineMs, {
    ok: deadlineMs === undefined || (deadlineMs > 0 && deadlineMs <= 86_400_000),
    to: 'more than 0 and at most 86400000 ms (a day)',
  })
  return { name, queue, input, output, attempts, backoff, deadlineMs }
}

const isWhole = (value: number | undefined) => value === undefined || (Number.isInteger(value) && value >= 1)

function expect(option: string, got: unknown, { ok, to }: { ok: boolean; to: string }): void {
  if (ok) return
  throw dbContextError('CONFIG', `Option ${option} of a job is ${String(got)}, expected ${to}`, {
    details: { option, got, expected: to },
  })
}
