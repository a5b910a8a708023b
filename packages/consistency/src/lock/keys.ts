import { consistencyError } from '../errors.ts'

const keysMax = 100
const lengthMax = 200

/** The keys in the one order in which everybody takes them, each once. @throws LOCK_KEYS_INVALID */
export function sortedKeys(given: string | readonly string[]): readonly [string, ...string[]] {
  const keys: readonly unknown[] = typeof given === 'string' ? [given] : Array.isArray(given) ? given : []
  if (keys.length > keysMax) throw invalid(`are ${keys.length}`)
  const sorted = [...new Set(keys.map(checked))].sort()
  const [first, ...others] = sorted
  if (first === undefined) throw invalid('are none')
  return [first, ...others]
}

/** @throws LOCK_KEYS_INVALID */
export const oneKey = (given: string): string => checked(given)

function checked(key: unknown): string {
  if (typeof key !== 'string') throw invalid(`are of type ${typeof key} in part`)
  if (key.length >= 1 && key.length <= lengthMax && key.isWellFormed()) return key
  throw invalid(`have one of ${key.length} characters, or one that is not well-formed`)
}

const invalid = (fault: string) =>
  consistencyError(
    'LOCK_KEYS_INVALID',
    `Keys of a lock ${fault}, expected 1 to ${keysMax} well-formed texts of 1 to ${lengthMax} characters: nothing was locked`,
    { details: { fault, keysMax, lengthMax } },
  )
