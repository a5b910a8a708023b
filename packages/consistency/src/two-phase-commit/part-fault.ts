import type { Part } from './participant.ts'
import { entriesField, tombstonesField } from './step-statement.ts'

const reserved: readonly string[] = ['_id', entriesField, tombstonesField]

/** What keeps a part from taking part; undefined for a sound one. */
export function faultOf({ id, guard = {}, apply, reverse, reverseGuard = {} }: Part): string | undefined {
  if (id === undefined || id === null || id === '') return 'has no id'
  if (Object.keys(apply).length === 0) return 'applies nothing'
  const unkept = Object.entries({ guard, apply, reverse, reverseGuard }).flatMap(([name, of]) => unkeptIn(of, name))
  // BSON leaves it out, and with it the condition.
  if (unkept[0] !== undefined) return `has ${unkept[0]}, which no record keeps`
  return updateFault(apply) ?? updateFault(reverse)
}

function updateFault(update: Part['apply']): string | undefined {
  for (const [operator, fields] of Object.entries(update)) {
    if (!operator.startsWith('$')) return `has ${operator}, expected update operators`
    for (const path of Object.keys(fields)) {
      const [field = '', ...rest] = path.split('.')
      if (reserved.includes(field)) return `writes ${path}`
      // The filter looks into arrays of its own, and a reverse has no guard: which element it would be nobody knows.
      if (rest.some(name => name === '$' || (name.startsWith('$[') && name !== '$[]')))
        return `writes ${path}: an element by its position, which is another's by the time it is reversed`
    }
  }
  const sums = Object.entries(update['$inc'] ?? {})
  const bad = sums.find(([, by]) => typeof by !== 'number' || !Number.isFinite(by))
  return bad ? `adds ${String(bad[1])} to ${bad[0]}, expected a finite number` : conflictOf(sums.map(([path]) => path))
}

/** The server refuses to write both. */
function conflictOf(paths: readonly string[]): string | undefined {
  const all = new Set(paths)
  for (const path of paths) {
    for (let end = path.lastIndexOf('.'); end > 0; end = path.lastIndexOf('.', end - 1)) {
      if (all.has(path.slice(0, end))) return `adds to ${path.slice(0, end)} and to ${path}`
    }
  }
  return undefined
}

/** Where a value has a function, or nothing. */
function unkeptIn(value: unknown, path: string): string[] {
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol')
    return [`${typeof value} at ${path}`]
  if (Array.isArray(value)) return value.flatMap((each, index) => unkeptIn(each, `${path}.${index}`))
  if (typeof value !== 'object' || value === null || !isPlain(value)) return []
  return Object.entries(value).flatMap(([name, each]) => unkeptIn(each, `${path}.${name}`))
}

/** Not a type of BSON, which keeps itself. */
const isPlain = (value: object): boolean => [Object.prototype, null].includes(Object.getPrototypeOf(value))
