import type { Cause } from './record.ts'

/** An error as one is kept, or told of. */
export function errorOf(error: unknown): Cause {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  return { code, message: error instanceof Error ? error.message.slice(0, 500) : String(error) }
}
