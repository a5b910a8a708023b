import { apiError } from './errors.ts'

/** Waits for `work` at most `ms` milliseconds; it goes on, but nobody waits for it any more. @throws ANSWER_LATE */
export async function within<T>(ms: number, { what, work }: { what: string; work: () => Promise<T> }): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(apiError('ANSWER_LATE', `${what} did not answer within ${ms} ms`)), ms)
  try {
    return await Promise.race([work(), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
