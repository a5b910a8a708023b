import { type ErrorClass, hasCode } from '@strata/db-context'

/** Codes of an election or a shutdown: the transaction has not been committed, another primary can take it. */
const electionCodes = new Set([91, 189, 10058, 10107, 11600, 11602, 13435, 13436])
const lockTimeoutCode = 24
const conflictCodes = new Set([112, lockTimeoutCode])
const networkNames = new Set([
  'MongoNetworkError',
  'MongoNetworkTimeoutError',
  'MongoPoolClearedError',
  'PoolClearedOnNetworkError',
])

/** A socket that breaks while the driver writes to it is reported by Node alone, as it is and without labels. */
const socketCodes = new Set(['ECONNABORTED', 'ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT'])

/** What is read of an error. By name, code and label: two copies of the driver may be installed. */
interface Readable {
  readonly name?: unknown
  readonly code?: unknown
  readonly message?: unknown
  readonly cause?: unknown
  readonly hasErrorLabel?: unknown
  readonly errorLabels?: unknown
}

export function hasLabel(error: unknown, label: string): boolean {
  const { hasErrorLabel, errorLabels } = read(error)
  if (typeof hasErrorLabel === 'function') return hasErrorLabel.call(error, label) === true
  return Array.isArray(errorLabels) && errorLabels.includes(label)
}

export const hasName = (error: unknown, name: string): boolean => read(error).name === name

export const codeOf = (error: unknown): number | undefined => {
  const { code } = read(error)
  return typeof code === 'number' ? code : undefined
}

/** Errors with which the driver could not write a statement of a transaction as BSON. */
const unsent = new WeakSet<object>()

/**
 * Notes the error of a statement in a transaction, if it is no answer and no word of the network. By then the driver takes the
 * transaction for begun; as the first of it the server has never seen, so that no later one, and no commit, can succeed.
 */
export function noteUnsent(error: unknown): void {
  const { name, code } = read(error)
  const isDrivers = typeof name === 'string' && (name.startsWith('Mongo') || name === 'StrataError')
  if (!isDrivers && !(typeof code === 'string' && socketCodes.has(code))) unsent.add(read(error))
}

/** True for an answer of the server, in contrast to what the driver or the network says. */
export function isServerError(error: unknown): boolean {
  const { name } = read(error)
  return name === 'MongoServerError' || name === 'MongoWriteConcernError' || name === 'MongoBulkWriteError'
}

export const isWaitQueueTimeout = (error: unknown): boolean => hasName(error, 'MongoWaitQueueTimeoutError')

const foreign: ErrorClass = { transient: false, conflict: false, endsTransaction: false }

/**
 * Reads an error of a statement, a commit or an abort; one of ours is read by what it was made from. What came from another
 * process is about work there: a conflict that its driver met is none of the transaction here.
 */
export function classify(error: unknown): ErrorClass {
  if (isRemote(error)) return foreign
  // The server calls it a conflict; but whoever holds the document waits for this very work, so no retry can win.
  if (hasCode(error, 'ANCESTOR_LOCK')) return { transient: false, conflict: false, endsTransaction: true }
  const origin = originOf(error)
  if (unsent.has(read(origin))) return { ...foreign, endsTransaction: true }
  if (isRemote(origin)) return foreign
  const conflict = isServerError(origin) && conflictCodes.has(codeOf(origin) ?? 0)
  return {
    transient: conflict || hasLabel(origin, 'TransientTransactionError') || isInterrupted(origin),
    conflict,
    ...(lacksTicket(origin) ? { lack: 'write tickets' } : {}),
    endsTransaction: isServerError(origin) || hasLabel(origin, 'TransientTransactionError') || isInterrupted(origin),
  }
}

/** The server has one code for a lock that is taken and for a ticket that is not to be had; only its words tell. */
export function lacksTicket(error: unknown): boolean {
  const { message } = read(error)
  return codeOf(error) === lockTimeoutCode && typeof message === 'string' && message.includes('acquire ticket')
}

function isInterrupted(error: unknown): boolean {
  const { name, code } = read(error)
  if (typeof code === 'string' && socketCodes.has(code)) return true
  if (typeof name === 'string' && networkNames.has(name)) return true
  return isServerError(error) && electionCodes.has(codeOf(error) ?? 0)
}

/** The queue gives every error of another process that field. */
const isRemote = (error: unknown): boolean => 'remoteStack' in read(error)

function originOf(error: unknown): unknown {
  const { name, cause } = read(error)
  return name === 'StrataError' && cause !== undefined ? cause : error
}

function read(error: unknown): Readable {
  return typeof error === 'object' && error !== null ? error : {}
}
