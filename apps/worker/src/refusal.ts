import { schoolRefusals } from '@strata/school'

/**
 * Wraps a handler so that what the school refuses is not tried again, however many attempts the job has: it would be
 * refused again. By this name BullMQ knows it; code and outcome stay what they are.
 */
export const withoutRetryOfRefusals =
  <Args extends unknown[], Output>(handler: (...args: Args) => Promise<Output> | Output) =>
  async (...args: Args): Promise<Output> => {
    try {
      return await handler(...args)
    } catch (error) {
      if (isRefusal(error)) error.name = 'UnrecoverableError'
      throw error
    }
  }

const isRefusal = (error: unknown): error is Error =>
  error instanceof Error && 'code' in error && Object.hasOwn(schoolRefusals, String(error.code))
