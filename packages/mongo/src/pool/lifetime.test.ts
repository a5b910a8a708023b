import { Db, MongoClient } from 'mongodb'
import { expect, it, onTestFinished, vi } from 'vitest'
import { readLifetime } from './lifetime.ts'

/** A client that never connects, whose server gives this answer. */
function answering(answer: () => Promise<object>): MongoClient {
  const command = vi.spyOn(Db.prototype, 'command').mockImplementation(answer)
  onTestFinished(() => command.mockRestore())
  return new MongoClient('mongodb://127.0.0.1')
}

it('is what the server says', async () => {
  const client = answering(async () => ({ transactionLifetimeLimitSeconds: 5 }))
  expect(await readLifetime(client, 1000)).toEqual({ ms: 5000, assumed: undefined })
})

it.each([
  ['a user without the right to ask', 13],
  ['a mongos, which does not know it', 72],
])('is assumed for %s', async (_, code) => {
  const error = { name: 'MongoServerError', code }
  expect(
    await readLifetime(
      answering(() => Promise.reject(error)),
      1000,
    ),
  ).toEqual({ ms: 60_000, assumed: error })
})

it('is assumed for an answer that is no number', async () => {
  const lifetime = await readLifetime(
    answering(async () => ({ ok: 1 })),
    1000,
  )
  expect(lifetime).toEqual({ ms: 60_000, assumed: expect.any(Error) })
})

it('is not guessed where no server answers', async () => {
  const error = { name: 'MongoNetworkError' }
  await expect(
    readLifetime(
      answering(() => Promise.reject(error)),
      1000,
    ),
  ).rejects.toBe(error)
})
