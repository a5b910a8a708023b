import { expect, test } from 'vitest'
import { stopInOrder } from './stop-steps.ts'

test('runs the steps one after the other', async () => {
  const done: string[] = []
  const step = (what: string) => ({
    what,
    limitMs: 1000,
    run: async () => {
      done.push(`${what} begins`)
      await Promise.resolve()
      done.push(`${what} ends`)
    },
  })
  await stopInOrder([step('first'), step('second')])
  expect(done).toEqual(['first begins', 'first ends', 'second begins', 'second ends'])
})

test('goes on after what fails or hangs, and names both at the end', async () => {
  const done: string[] = []
  const stop = stopInOrder([
    { what: 'queues', limitMs: 10, run: () => new Promise(() => {}) },
    { what: 'pools', limitMs: 10, run: () => Promise.reject(new Error('broken')) },
    { what: 'metrics', limitMs: 10, run: async () => done.push('metrics') },
  ])
  await expect(stop).rejects.toMatchObject({
    code: 'STOP_INCOMPLETE',
    message: 'Not stopped in order: queues took longer than 10 ms, pools failed',
  })
  expect(done).toEqual(['metrics'])
})
