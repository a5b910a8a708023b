import { types } from 'node:util'
import { findJsonFault } from './json.ts'

/** Reads a property of what was thrown: a getter or a proxy may throw in its turn. */
export function peek(value: unknown, key: string): unknown {
  try {
    return (value as Record<string, unknown>)[key]
  } catch {
    return undefined
  }
}

/** Also for an error of another realm, which is no instance of this one's `Error`. */
export function isError(value: unknown): value is Error {
  try {
    return types.isNativeError(value) || value instanceof Error
  } catch {
    return false
  }
}

/** A value as it can be told in one line, whatever it is. */
export function print(value: unknown): string {
  try {
    const text = typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
    return cut(text, 500)
  } catch {
    return printType(value)
  }
}

function printType(value: unknown): string {
  try {
    return Object.prototype.toString.call(value)
  } catch {
    return 'something that cannot be read'
  }
}

/** A copy as JSON would make it; its print where JSON would change it. */
export function snapshot(value: unknown): unknown {
  try {
    return findJsonFault(value) ? print(value) : JSON.parse(JSON.stringify(value))
  } catch {
    return print(value)
  }
}

export function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`
}
