import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import { shareWrites } from './shared-write.ts'

/** What each system call would carry. */
function recorder() {
  const calls: string[][] = []
  const stream = new Writable({
    decodeStrings: false,
    write: (chunk: string, _, done) => {
      calls.push([chunk])
      done()
    },
    writev: (chunks, done) => {
      calls.push(chunks.map(({ chunk }) => String(chunk)))
      done()
    },
  })
  shareWrites(stream)
  return { stream, calls }
}

test('what a tick writes, with the promises that it settles, goes out together and in order', async () => {
  const { stream, calls } = recorder()
  stream.write('a')
  await Promise.resolve().then(() => stream.write('b'))
  stream.write('c')
  expect(calls).toEqual([])
  await new Promise(setImmediate)
  expect(calls).toEqual([['a', 'b', 'c']])
})

test('a lone write goes out in the tick that made it, and the next tick is another', async () => {
  const { stream, calls } = recorder()
  stream.write('a')
  await new Promise(process.nextTick)
  expect(calls).toEqual([['a']])
  stream.write('b')
  await new Promise(process.nextTick)
  expect(calls).toEqual([['a'], ['b']])
})
