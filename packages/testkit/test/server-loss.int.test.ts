import { expect, test } from 'vitest'
import { startMongo, startRedis } from '../src/index.ts'

const quiet = { report: () => {}, private: true }

/** Whether the promise has settled, seen after everything that was due. */
async function isOpen(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol('open')
  return (await Promise.race([promise, new Promise(resolve => setImmediate(resolve, open))])) === open
}

test('a server that dies is told with its program and signal', async () => {
  await using mongo = await startMongo(quiet)
  await using redis = await startRedis(quiet)
  for (const server of [mongo, redis]) {
    const { pid = 0 } = server
    expect(await isOpen(server.exited)).toBe(true)
    process.kill(pid, 'SIGKILL')
    const program = server === mongo ? /mongod/ : /(valkey|redis)-server/
    expect(await server.exited).toEqual({ program: expect.stringMatching(program), pid, code: null, signal: 'SIGKILL' })
  }
})

test('a crash is a loss, a stop is not', async () => {
  const crashed = await startRedis(quiet)
  await crashed.kill?.()
  expect(await crashed.exited).toMatchObject({ signal: 'SIGKILL' })
  await crashed.stop()

  const stopped = await startRedis(quiet)
  await stopped.stop()
  expect(await isOpen(stopped.exited)).toBe(true)
})
