import { type Outcome, StrataError } from '@strata/db-context'
import { findJsonFault } from './json.ts'

/** An error as it travels. Bounded in depth and length, because what a driver throws may hold a whole server. */
export interface WireError {
  readonly name: string
  readonly message: string
  readonly code?: string | number
  readonly outcome?: Outcome
  readonly transient?: boolean
  readonly labels?: readonly string[]
  readonly details?: Readonly<Record<string, unknown>>
  readonly stack?: string
  readonly cause?: WireError
}

/** An error of another process. Its stack there is kept apart from the one of this process. */
export interface RemoteError extends Error {
  readonly remoteStack: string | undefined
}

const causesMax = 8
const messageLengthMax = 8192
const stackLengthMax = 8192
const detailsLengthMax = 65_536
const labelsMax = 32
const outcomes: readonly unknown[] = ['applied', 'not-applied', 'unknown']

export function encodeError(error: unknown, depth = 0): WireError {
  if (!(error instanceof Error)) return { name: 'NonError', message: cut(`Thrown: ${print(error)}`, messageLengthMax) }
  const { code, outcome, transient, details } = error as Partial<StrataError>
  const labels = readLabels(error)
  return {
    name: cut(String(error.name), 200),
    message: cut(String(error.message), messageLengthMax),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(isOutcome(outcome) ? { outcome } : {}),
    ...(typeof transient === 'boolean' ? { transient } : {}),
    ...(labels.length > 0 ? { labels } : {}),
    ...(isRecord(details) && Object.keys(details).length > 0 ? { details: jsonDetails(details) } : {}),
    ...(typeof error.stack === 'string' ? { stack: cut(error.stack, stackLengthMax) } : {}),
    ...(error.cause !== undefined && depth < causesMax ? { cause: encodeError(error.cause, depth + 1) } : {}),
  }
}

/** Reads what a peer sent; undefined when it is not an error. */
export function readWireError(value: unknown, depth = 0): WireError | undefined {
  if (!isRecord(value) || typeof value['name'] !== 'string' || typeof value['message'] !== 'string') return undefined
  const { name, message, code, outcome, transient, labels, details, stack } = value
  const cause = depth < causesMax ? readWireError(value['cause'], depth + 1) : undefined
  return {
    name,
    message,
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(isOutcome(outcome) ? { outcome } : {}),
    ...(typeof transient === 'boolean' ? { transient } : {}),
    ...(Array.isArray(labels) ? { labels: labels.filter(label => typeof label === 'string').slice(0, labelsMax) } : {}),
    ...(isRecord(details) ? { details } : {}),
    ...(typeof stack === 'string' ? { stack } : {}),
    ...(cause ? { cause } : {}),
  }
}

/** True for an error of ours: it has a code and says what became of the work. */
export const isStrataWire = (wire: WireError): wire is WireError & { code: string; outcome: Outcome } =>
  typeof wire.code === 'string' && wire.outcome !== undefined

/** Makes the error again on this side: a StrataError with all its fields, or an Error with name, code and labels. */
export function decodeError(wire: WireError): RemoteError {
  const cause = wire.cause && decodeError(wire.cause)
  const error = isStrataWire(wire) ? remoteStrataError(wire, cause) : remotePlainError(wire, cause)
  return keepRemoteStack(error, wire.stack)
}

export function keepRemoteStack<E extends Error>(error: E, remoteStack: string | undefined): E & RemoteError {
  return Object.defineProperty(error, 'remoteStack', { value: remoteStack, enumerable: false }) as E & RemoteError
}

function remoteStrataError(wire: WireError & { code: string; outcome: Outcome }, cause: Error | undefined): Error {
  const error = new StrataError(wire.code, wire.message, {
    outcome: wire.outcome,
    transient: wire.transient ?? false,
    details: wire.details ?? {},
    cause,
  })
  error.name = wire.name
  return withLabels(error, wire.labels)
}

function remotePlainError(wire: WireError, cause: Error | undefined): Error {
  const error = new Error(wire.message, cause === undefined ? undefined : { cause })
  error.name = wire.name
  const { code, details } = wire
  Object.assign(error, code === undefined ? {} : { code }, details === undefined ? {} : { details })
  return withLabels(error, wire.labels)
}

function withLabels(error: Error, labels: readonly string[] | undefined): Error {
  return labels ? Object.assign(error, { labels }) : error
}

/** The labels of a MongoDB error, `TransientTransactionError` among them, or those that came over the wire already. */
function readLabels(error: Error): string[] {
  const { errorLabels, labels } = error as { errorLabels?: unknown; labels?: unknown }
  const found = labels ?? errorLabels
  if (!Array.isArray(found)) return []
  return found.filter(label => typeof label === 'string').slice(0, labelsMax)
}

/** Details part by part: one that is not JSON is replaced by its print, the others stay whole. */
function jsonDetails(details: Record<string, unknown>): Record<string, unknown> {
  const entries = Object.entries(details).map(([key, value]) => [key, findJsonFault(value) ? print(value) : value])
  const kept: Record<string, unknown> = Object.fromEntries(entries)
  return JSON.stringify(kept).length <= detailsLengthMax
    ? kept
    : { tooLarge: `more than ${detailsLengthMax} characters` }
}

function print(value: unknown): string {
  try {
    return cut(typeof value === 'object' ? JSON.stringify(value) : String(value), 500)
  } catch {
    return Object.prototype.toString.call(value)
  }
}

const isOutcome = (value: unknown): value is Outcome => outcomes.includes(value)

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const cut = (text: string, max: number): string => (text.length <= max ? text : `${text.slice(0, max - 1)}…`)
