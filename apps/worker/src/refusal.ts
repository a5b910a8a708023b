import { StrataError } from '@strata/db-context'
import type { HandlerContext } from '@strata/queue'
import { schoolRefusals } from '@strata/school'

/** What the wrapper reads of a handler's context. */
interface Started {
  readonly job: Pick<HandlerContext['job'], 'attemptsStarted'>
}

/**
 * Wraps a handler so that what the school refuses is not tried again, however many attempts the job has: it would be
 * refused again. Its outcome stays what it is in the first run of the job only; in a later one it is `unknown`, because
 * an earlier run may have done a part before it failed, and what it awaited is not undone with it.
 */
export const withoutRetryOfRefusals =
  <Input, Context extends Started, Output>(handler: (input: Input, context: Context) => Promise<Output> | Output) =>
  async (input: Input, context: Context): Promise<Output> => {
    try {
      return await handler(input, context)
    } catch (error) {
      if (!isRefusal(error)) throw error
      // Not the failed attempts: a run that a crash or a stop cut short is not among them.
      const refusal = context.job.attemptsStarted > 1 ? withOutcomeUnknown(error) : error
      // By this name BullMQ knows it.
      refusal.name = 'UnrecoverableError'
      throw refusal
    }
  }

/** By its code, not by `instanceof`: it may come from the job that this one awaited. */
const isRefusal = (error: unknown): error is StrataError =>
  error instanceof Error && 'code' in error && Object.hasOwn(schoolRefusals, String(error.code))

const withOutcomeUnknown = (error: StrataError) =>
  new StrataError(error.code, error.message, { outcome: 'unknown', details: error.details, cause: error })
