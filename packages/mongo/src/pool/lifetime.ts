import type { TransactionLifetime } from '@strata/db-context'
import type { MongoClient } from 'mongodb'
import { isServerError } from '../classify.ts'

const parameter = 'transactionLifetimeLimitSeconds'

/** The server's default. */
const assumedMs = 60_000

/**
 * Asks the server when it ends a transaction by itself. A user without the right to ask, and a mongos, which does not know, get
 * an answer that is none: then the server's default is assumed.
 */
export async function readLifetime(client: MongoClient, timeoutMs: number): Promise<TransactionLifetime> {
  try {
    const answer = await client.db('admin').command({ getParameter: 1, [parameter]: 1, maxTimeMS: timeoutMs })
    const seconds: unknown = answer[parameter]
    if (typeof seconds === 'number' && seconds > 0) return { ms: seconds * 1000, assumed: undefined }
    return { ms: assumedMs, assumed: new Error(`Server answered ${String(seconds)} to ${parameter}`) }
  } catch (error) {
    if (isServerError(error)) return { ms: assumedMs, assumed: error }
    throw error
  }
}
