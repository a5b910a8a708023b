import { expect, test } from 'vitest'
import type { Door } from '../door.ts'
import { type Definition, define } from './definition.ts'

/** Only what a definition asks of it. */
const door = (definitionTimeoutMs: number) =>
  ({
    settings: { definitionTimeoutMs },
    scope: {
      isolated: true,
      lockWaitMs: 2000,
      awaitedBy: () => undefined,
      service: (_what: string, run: (target: unknown) => Promise<unknown>) => run({}),
    },
  }) as unknown as Door

const unconfirmed = () =>
  Object.assign(new Error('operation exceeded time limit'), { name: 'MongoWriteConcernError', code: 50 })

const creating = (run: Definition<string>['run']) => ({ what: 'create', userMs: undefined, run, done: 'was there' })

test('one that was made, but not confirmed within its short try, is asked for again', async () => {
  const answers = [unconfirmed(), Object.assign(new Error('exists'), { name: 'MongoServerError', code: 48 })]
  const run = () => Promise.reject(answers.shift())
  await expect(define(door(10_000), creating(run))).resolves.toBe('was there')
  expect(answers).toEqual([])
})

test('one that stays unconfirmed to the end does not say that nothing was done', async () => {
  const run = () => Promise.reject(unconfirmed())
  await expect(define(door(300), creating(run))).rejects.toMatchObject({ name: 'MongoWriteConcernError', code: 50 })
})
