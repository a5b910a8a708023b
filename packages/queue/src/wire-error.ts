import { type Outcome, StrataError } from '@strata/db-context'
import { isRecord } from './json.ts'

/** An error as it travels. Bounded in depth, number and length, because what a driver throws may hold a whole server. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly code?: string | number
  readonly outcome?: Outcome
  readonly transient?: boolean
  readonly labels?: readonly string[]
  readonly details?: Readonly<Record<string, unknown>>
  /** What else the error has of its own, such as the `keyValue` of a duplicate key. */
  readonly fields?: Readonly<Record<string, unknown>>
  readonly stack?: string
  readonly cause?: WireError
  /** Of an AggregateError. */
  readonly errors?: readonly WireError[]
}

/** An error of another process. Its stack there is kept apart from the one of this process. */
export interface RemoteError extends Error {
  readonly remoteStack: string | undefined
}

/** Causes below the error, and errors side by side in an AggregateError. */
export const causesMax = 8
export const errorsMax = 8
const labelsMax = 32
const outcomes: readonly unknown[] = ['applied', 'not-applied', 'unknown']

/** Reads what a peer sent; undefined when it is not an error. */
export function readWireError(value: unknown, depth = 0): WireError | undefined {
  if (!isRecord(value) || typeof value['name'] !== 'string' || typeof value['message'] !== 'string') return undefined
  const { name, message, code, outcome, transient, labels, details, fields, stack, errors } = value
  const isDeep = depth >= causesMax
  const cause = isDeep ? undefined : readWireError(value['cause'], depth + 1)
  return {
    name,
    message,
    ...(isCode(code) ? { code } : {}),
    ...(isOutcome(outcome) ? { outcome } : {}),
    ...(typeof transient === 'boolean' ? { transient } : {}),
    ...(Array.isArray(labels) ? { labels: textsOf(labels) } : {}),
    ...(isRecord(details) ? { details } : {}),
    ...(isRecord(fields) ? { fields } : {}),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...(cause ? { cause } : {}),
    ...(Array.isArray(errors) && !isDeep ? { errors: readErrors(errors, depth) } : {}),
  }
}

/** True for an error of ours: it has a code and says what became of the work. */
export const isStrataWire = (wire: WireError): wire is WireError & { code: string; outcome: Outcome } =>
  typeof wire.code === 'string' && wire.outcome !== undefined

/** Makes the error again on this side: a StrataError with all its fields, or an Error with name, code, labels and its own fields. */
export function decodeError(wire: WireError): RemoteError {
  const cause = wire.cause && decodeError(wire.cause)
  const error = isStrataWire(wire) ? remoteStrataError(wire, cause) : remotePlainError(wire, cause)
  error.name = wire.name
  if (wire.labels) Object.assign(error, { labels: wire.labels })
  giveFields(error, wire.fields ?? {})
  return keepRemoteStack(error, wire.stack)
}

export function keepRemoteStack<E extends Error>(error: E, remoteStack: string | undefined): E & RemoteError {
  return Object.defineProperty(error, 'remoteStack', { value: remoteStack, enumerable: false }) as E & RemoteError
}

function remoteStrataError(wire: WireError & { code: string; outcome: Outcome }, cause: Error | undefined): Error {
  return new StrataError(wire.code, wire.message, {
    outcome: wire.outcome,
    transient: wire.transient ?? false,
    details: wire.details ?? {},
    cause,
  })
}

function remotePlainError({ message, code, details, errors }: WireError, cause: Error | undefined): Error {
  const options = cause === undefined ? undefined : { cause }
  const error = errors ? new AggregateError(errors.map(decodeError), message, options) : new Error(message, options)
  return Object.assign(error, code === undefined ? {} : { code }, details === undefined ? {} : { details })
}

/** Nothing that is there already, and so nothing of a prototype's. */
function giveFields(error: Error, fields: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(fields)) {
    if (!(key in error)) Object.assign(error, { [key]: value })
  }
}

function readErrors(errors: readonly unknown[], depth: number): WireError[] {
  const read = errors.slice(0, errorsMax).map(error => readWireError(error, depth + 1))
  return read.filter(error => error !== undefined)
}

export const textsOf = (labels: readonly unknown[]): string[] =>
  labels.filter(label => typeof label === 'string').slice(0, labelsMax)

export const isCode = (value: unknown): value is string | number =>
  typeof value === 'string' || typeof value === 'number'

export const isOutcome = (value: unknown): value is Outcome => outcomes.includes(value)
