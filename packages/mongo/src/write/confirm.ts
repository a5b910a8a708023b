import type { Outcome } from '@strata/db-context'
import type { Document, Timestamp } from 'mongodb'
import { type Call, type MongoTarget, whatOf } from '../statement/call.ts'
import { unconfirmed } from '../translate.ts'
import { writeResult } from './write-result.ts'

/**
 * Waits until a majority has a write that the server applied before its time ran out, and gives the write's result. It
 * reads with read concern majority after the time of the write, which the server answers only once a majority has it.
 * Under another primary than before the write that says nothing, for there the write may have been rolled back.
 *
 * @see https://www.mongodb.com/docs/manual/core/causal-consistency-read-write-concerns/
 * @throws WRITE_UNCONFIRMED, `unknown` under a primary that is new or cannot be asked, else `applied`
 */
export async function confirm(call: Call, target: MongoTarget, applied: Applied): Promise<unknown> {
  const { error, election } = applied
  const reply = replyOf(error)
  const what = whatOf(call)
  const fail = (outcome: Outcome, cause: unknown) => unconfirmed(what, { outcome, cause })
  const operationTime = reply['operationTime'] as Timestamp | undefined
  if (!operationTime) throw fail('applied', error)
  try {
    await readAfter(call, target, operationTime)
  } catch (cause) {
    throw fail('applied', cause)
  }
  if (!(await isStill(target, election))) throw fail('unknown', error)
  return writeResult(call, reply)
}

/** False also where it cannot be asked: then nobody knows whether the primary is the one that took the write. */
async function isStill(target: MongoTarget, election: string | undefined): Promise<boolean> {
  if (election === undefined) return false
  try {
    return (await currentElection(target)) === election
  } catch {
    return false
  }
}

export interface Applied {
  /** The driver's write concern error. */
  readonly error: unknown
  /** The election that the primary came from when the write was sent. */
  readonly election: string | undefined
}

function replyOf(error: unknown): Document {
  return (error as { readonly result?: Document }).result ?? {}
}

async function readAfter(call: Call, { pool }: MongoTarget, operationTime: Timestamp): Promise<void> {
  const session = pool.client.startSession({ causalConsistency: true })
  try {
    session.advanceOperationTime(operationTime)
    await pool.collection(call.door.settings.database, call.collection).findOne(
      {},
      {
        session,
        projection: { _id: 1 },
        readConcern: { level: 'majority' },
        readPreference: 'primary',
        maxTimeMS: pool.settings.writeConcernTimeoutMs,
      },
    )
  } finally {
    await session.endSession()
  }
}

async function currentElection({ pool }: MongoTarget): Promise<string | undefined> {
  const hello = await pool.client.db('admin').command({ hello: 1, maxTimeMS: pool.settings.writeConcernTimeoutMs })
  return hello['electionId']?.toHexString()
}
