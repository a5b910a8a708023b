import { endsWithin } from './ends-within.ts'
import { schoolError } from './errors.ts'

/** One part of a stop. */
export interface StopStep {
  readonly what: string
  /** The longest it is waited for, in milliseconds: a server that is away must not hold up the others. */
  readonly limitMs: number
  readonly run: () => Promise<unknown>
}

/**
 * Runs the steps one after the other; one that fails or takes too long does not keep the next from running.
 * @throws STOP_INCOMPLETE, after the last one, naming those.
 */
export async function stopInOrder(steps: readonly StopStep[]): Promise<void> {
  const incomplete: string[] = []
  const causes: unknown[] = []
  for (const { what, limitMs, run } of steps) {
    try {
      if (await endsWithin(limitMs, run)) continue
      incomplete.push(`${what} took longer than ${limitMs} ms`)
    } catch (error) {
      incomplete.push(`${what} failed`)
      causes.push(error)
    }
  }
  if (incomplete.length === 0) return
  throw schoolError('STOP_INCOMPLETE', `Not stopped in order: ${incomplete.join(', ')}`, {
    details: { incomplete },
    ...(causes.length === 0 ? {} : { cause: new AggregateError(causes) }),
  })
}
