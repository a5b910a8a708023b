import { Timestamp } from 'mongodb'
import { expect, it } from 'vitest'
import type { Call, MongoTarget } from '../statement/call.ts'
import { confirm } from './confirm.ts'

const hello = { electionId: { toHexString: () => 'first' } }

/** A server whose majority has the write, and that then answers the question for its election as given. */
function target(ask: () => Promise<object>): MongoTarget {
  const session = { advanceOperationTime: () => {}, endSession: async () => {} }
  const client = { startSession: () => session, db: () => ({ command: ask }) }
  const pool = { client, settings: { writeConcernTimeoutMs: 1000 }, collection: () => ({ findOne: async () => null }) }
  return { pool } as unknown as MongoTarget
}

const call = {
  door: { settings: { database: 'main' } },
  collection: 'items',
  method: 'deleteOne',
  args: [{}],
} as unknown as Call

const applied = { error: { result: { n: 1, operationTime: new Timestamp(1n) } }, election: 'first' }

it('gives the result of a write that a majority has under the same primary', async () => {
  expect(
    await confirm(
      call,
      target(async () => hello),
      applied,
    ),
  ).toEqual({ acknowledged: true, deletedCount: 1 })
})

it.each([
  ['has changed', async () => ({ electionId: { toHexString: () => 'second' } })],
  ['cannot be asked', () => Promise.reject(new Error('connection reset'))],
])('does not know what became of a write whose primary %s', async (_, ask) => {
  const error = await confirm(call, target(ask), applied).catch(error => error)
  expect(error).toMatchObject({ code: 'WRITE_UNCONFIRMED', outcome: 'unknown', cause: applied.error })
})
