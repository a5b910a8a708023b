/** Where and why a value cannot travel as JSON without changing. */
export interface JsonFault {
  /** As in `$.items[2].price`. */
  readonly path: string
  readonly got: string
}

/** A deeper value would overflow the stack of `JSON.stringify` long before; nobody sends one on purpose. */
const depthMax = 200

/**
 * Finds the first part of a value that JSON would change or drop. What passes arrives deeply equal, with two stated
 * exceptions: an object property that is `undefined` is absent on the other side, and -0 is 0. Throws nothing.
 */
export function findJsonFault(value: unknown): JsonFault | undefined {
  return value === undefined ? undefined : faultAt(value, '$', new Set())
}

function faultAt(value: unknown, path: string, above: Set<object>): JsonFault | undefined {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : { path, got: String(value) }
  if (typeof value !== 'object') return { path, got: typeof value }
  if (above.has(value)) return { path, got: 'a circular reference' }
  if (above.size >= depthMax) return { path, got: `more than ${depthMax} nested values` }
  above.add(value)
  const fault = faultInside(value, path, above)
  above.delete(value)
  return fault
}

function faultInside(value: object, path: string, above: Set<object>): JsonFault | undefined {
  try {
    return Array.isArray(value) ? faultInArray(value, path, above) : faultInObject(value, path, above)
  } catch {
    return { path, got: 'a value that throws when it is read' }
  }
}

function faultInArray(value: readonly unknown[], path: string, above: Set<object>): JsonFault | undefined {
  for (let index = 0; index < value.length; index += 1) {
    const fault = faultAt(value[index], `${path}[${index}]`, above)
    if (fault) return fault
  }
  return Object.keys(value).length > value.length ? { path, got: 'an array with properties' } : undefined
}

function faultInObject(value: object, path: string, above: Set<object>): JsonFault | undefined {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return { path, got: `a ${className(prototype)}` }
  if ('toJSON' in value && typeof value.toJSON === 'function') return { path, got: 'an object with toJSON' }
  if (Object.getOwnPropertySymbols(value).length > 0) return { path, got: 'an object with symbol keys' }
  for (const [key, part] of Object.entries(value)) {
    if (part === undefined) continue
    const fault = faultAt(part, `${path}.${key}`, above)
    if (fault) return fault
  }
  return undefined
}

function className(prototype: unknown): string {
  const { constructor: made } = prototype as { constructor?: unknown }
  return typeof made === 'function' && made.name ? made.name : 'class instance'
}

/** Undefined for what is not JSON, which no JSON is. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** True for a JSON object. */
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
