import { isRecord } from './json.ts'
import { cut, isError, peek, print, snapshot } from './thrown.ts'
import { causesMax, decodeError, errorsMax, isCode, isOutcome, textsOf, type WireError } from './wire-error.ts'

const messageLengthMax = 8192
const stackLengthMax = 8192
const partsLengthMax = 65_536
const nodesMax = 32

/** Of the whole, causes and all: below the room that a caller gives a reply. */
const wireLengthMax = 524_288

/** Whatever was thrown, as it travels. Throws nothing: neither what cannot be read nor a circle stops it. */
export function encodeError(thrown: unknown): WireError {
  const wire = encode(thrown, { nodes: nodesMax }, [])
  return JSON.stringify(wire).length <= wireLengthMax ? wire : slim(wire)
}

/** As itself where BullMQ can read it, else as an error that says what it was. */
export function readableError(thrown: unknown): Error {
  if (isError(thrown)) {
    const [name, message, stack] = ['name', 'message', 'stack'].map(key => peek(thrown, key))
    const isShort = typeof message === 'string' && message.length <= messageLengthMax
    if (typeof name === 'string' && isShort && (stack === undefined || typeof stack === 'string')) return thrown
  }
  return decodeError(encodeError(thrown))
}

/** `left` is shared by all nodes: an error of errors of errors has no more of them than a chain. */
function encode(thrown: unknown, left: { nodes: number }, above: readonly unknown[]): WireError {
  left.nodes -= 1
  if (!isError(thrown)) return { name: 'NonError', message: `Thrown: ${print(thrown)}` }
  try {
    return encodeParts(thrown, left, above)
  } catch {
    return { name: 'Error', message: 'Error cannot be read' }
  }
}

function encodeParts(thrown: Error, left: { nodes: number }, above: readonly unknown[]): WireError {
  const read = (key: string) => peek(thrown, key)
  const [name, message, code, outcome] = [read('name'), read('message'), read('code'), read('outcome')]
  const [transient, details, stack] = [read('transient'), read('details'), read('stack')]
  const labels = readLabels(thrown)
  const own = ownFields(thrown)
  return {
    name: typeof name === 'string' ? cut(name, 200) : 'Error',
    message: typeof message === 'string' ? cut(message, messageLengthMax) : 'Message cannot be read',
    ...(isCode(code) ? { code } : {}),
    ...(isOutcome(outcome) ? { outcome } : {}),
    ...(typeof transient === 'boolean' ? { transient } : {}),
    ...(labels.length > 0 ? { labels } : {}),
    ...(isRecord(details) ? nonEmpty('details', Object.keys(details), key => peek(details, key)) : {}),
    ...nonEmpty('fields', own, read),
    ...(typeof stack === 'string' ? { stack: cut(stack, stackLengthMax) } : {}),
    ...below(thrown, left, [...above, thrown]),
  }
}

/** Causes, and the errors of an AggregateError, as far as the bounds go. */
function below(error: Error, left: { nodes: number }, above: readonly unknown[]): Pick<WireError, 'cause' | 'errors'> {
  if (above.length > causesMax) return {}
  const isNew = (value: unknown) => left.nodes > 0 && !above.includes(value)
  const cause = peek(error, 'cause')
  const errors = peek(error, 'errors')
  const parts: WireError[] = []
  const encoded = cause === undefined || !isNew(cause) ? {} : { cause: encode(cause, left, above) }
  for (const part of Array.isArray(errors) ? errors.slice(0, errorsMax) : []) {
    if (isNew(part)) parts.push(encode(part, left, above))
  }
  return { ...encoded, ...(parts.length > 0 ? { errors: parts } : {}) }
}

/** Part by part: one that is not JSON is replaced by its print, the others stay whole. */
function nonEmpty<Key extends string>(name: Key, keys: readonly string[], read: (key: string) => unknown) {
  const entries = keys.map(key => [key, read(key)] as const).filter(([, value]) => value !== undefined)
  if (entries.length === 0) return {}
  const parts: Record<string, unknown> = Object.fromEntries(entries.map(([key, value]) => [key, snapshot(value)]))
  const isSmall = JSON.stringify(parts).length <= partsLengthMax
  return { [name]: isSmall ? parts : { tooLarge: `more than ${partsLengthMax} characters` } }
}

/** Carried by themselves; `errorResponse` is where MongoDB's driver keeps a second copy of the fields. */
const carried = new Set(
  'name message stack cause code outcome transient details labels errorLabels errors errorResponse'.split(' '),
)

function ownFields(error: Error): string[] {
  try {
    return Object.keys(error).filter(key => {
      const kind = typeof peek(error, key)
      return !carried.has(key) && !(key in Error.prototype) && kind !== 'function' && kind !== 'undefined'
    })
  } catch {
    return []
  }
}

/** The labels of a MongoDB error, `TransientTransactionError` among them, or those that came over the wire already. */
function readLabels(error: Error): string[] {
  const found = peek(error, 'labels') ?? peek(error, 'errorLabels')
  return Array.isArray(found) ? textsOf(found) : []
}

/** What a caller branches on, without what makes it large. */
function slim({ name, message, code, outcome, transient, labels = [] }: WireError): WireError {
  return {
    name,
    message: cut(message, 500),
    ...(code === undefined ? {} : { code: typeof code === 'string' ? cut(code, 200) : code }),
    ...(outcome === undefined ? {} : { outcome }),
    ...(transient === undefined ? {} : { transient }),
    labels: labels.map(label => cut(label, 200)),
    details: { tooLarge: `more than ${wireLengthMax} characters` },
  }
}
