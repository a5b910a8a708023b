import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { spawnNode } from '../src/index.ts'

const echo = fileURLToPath(new URL('./fixtures/echo-process.ts', import.meta.url))

interface Echo {
  readonly echo?: unknown
  readonly hello?: string
  readonly args?: string[]
}
const isHello = (message: unknown): message is Echo => (message as Echo).hello !== undefined
const isEcho = (message: unknown): message is Echo => (message as Echo).echo !== undefined

test('a source file runs, hears and answers, and its end is told', async () => {
  await using child = await spawnNode(echo, { args: ['one'], env: { GREETING: 'good day' }, ipc: true })
  child.send({ number: 1 })
  expect(await child.nextMessage(isEcho, 10_000)).toEqual({ echo: { number: 1 } })
  // Messages that came before the one waited for are still there.
  expect(await child.nextMessage(isHello, 10_000)).toEqual({ hello: 'good day', args: ['one'] })
  child.send('end')
  expect(await child.exited).toEqual({ code: 3, signal: null })
  expect(child.stderr()).toBe('about to begin\nasked to end\n')
  expect(() => child.send('more')).toThrow(expect.objectContaining({ code: 'PROCESS_FAILED' }))
})

test('messages that come at the same time are all kept, one for each that waits', async () => {
  await using child = await spawnNode(echo, { ipc: true })
  const numbers = Array.from({ length: 200 }, (_, number) => number)
  for (const number of numbers) child.send(number)
  const heard: unknown[] = []
  for (const _ of numbers) heard.push((await child.nextMessage(isEcho, 10_000)).echo)
  expect(heard).toEqual(numbers)
})

test('waiting for a message of a process that ends is an error with its stderr', async () => {
  await using child = await spawnNode(echo, { ipc: true })
  const waiting = child.nextMessage(isEcho, 10_000)
  child.send('end')
  await expect(waiting).rejects.toMatchObject({
    code: 'PROCESS_FAILED',
    message: expect.stringContaining('asked to end'),
  })
})

test('a signal ends it', async () => {
  await using child = await spawnNode(echo, { env: { GREETING: 'good day' }, ipc: true })
  await child.nextMessage(isHello, 10_000)
  child.kill('SIGKILL')
  expect(await child.exited).toEqual({ code: null, signal: 'SIGKILL' })
})
