import { StrataError } from '@strata/db-context'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.any() })

const stage = useStage()

/** A worker whose handler is given, and a way to call it with three attempts. */
async function working(handler: (n: number) => unknown) {
  const db = stage.db()
  const queues = stage.queues(db)
  const worker = stage.worker(stage.db())
  const ran: number[] = []
  worker.handle(job, async ({ n }) => {
    ran.push(n)
    return handler(n)
  })
  await worker.start()
  const call = (n: number, attempts = 3): Promise<unknown> => db.run(() => queues.pushAsync(job, { n }, { attempts }))
  return {
    db,
    queues,
    ran,
    call,
    failWith: (n = 1, attempts = 1) => call(n, attempts).catch((error: unknown) => error),
  }
}

class Overdrawn extends Error {
  readonly accountId = '7'
  readonly limit = { cents: 300, since: new Date(0) }
  override name = 'Overdrawn'
}

const hostile = new Proxy(
  {},
  {
    get() {
      throw new Error('get')
    },
    getPrototypeOf() {
      throw new Error('getPrototypeOf')
    },
  },
)
const revoked = Proxy.revocable(new Error('revoked'), {})
revoked.revoke()
const withoutMessage = Object.defineProperty(new Error(), 'message', {
  get() {
    throw new Error('message')
  },
})
const circular: { self?: unknown } = {}
circular.self = circular

describe('whatever a handler throws ends the call, once, and the worker goes on', () => {
  const thrown: [string, unknown, string | RegExp][] = [
    ['a text', 'no', 'Thrown: no'],
    ['undefined', undefined, 'Thrown: undefined'],
    ['null', null, 'Thrown: null'],
    ['a number', -0, 'Thrown: 0'],
    ['a symbol', Symbol('s'), 'Thrown: Symbol(s)'],
    ['an object', { code: 7 }, 'Thrown: {"code":7}'],
    ['an object without a prototype', Object.create(null), 'Thrown: {}'],
    ['a function', () => 1, /^Thrown: \(\) => 1/],
    ['a circle', circular, 'Thrown: [object Object]'],
    ['a frozen object', Object.freeze({ a: 1n }), 'Thrown: [object Object]'],
    ['a proxy that throws', hostile, /^Thrown: /],
    ['a revoked proxy', revoked.proxy, /^Thrown: |^Error cannot be read$/],
    ['an error whose message throws', withoutMessage, 'Message cannot be read'],
    ['an error whose message is no text', Object.assign(new Error(), { message: { a: 1 } }), 'Message cannot be read'],
    ['a frozen error', Object.freeze(new RangeError('frozen')), 'frozen'],
  ]
  test.each(thrown)('%s', async (_, value, message) => {
    const { call, ran, failWith } = await working(n => {
      if (n === 0) return 'on'
      throw value
    })
    const error = await failWith()
    expect(error).toMatchObject({ code: 'JOB_FAILED', outcome: 'unknown', cause: { message: expect.anything() } })
    const cause = (error as Error).cause as Error
    expect(cause).toBeInstanceOf(Error)
    if (typeof message === 'string') expect(cause.message).toBe(message)
    else expect(cause.message).toMatch(message)
    expect(await call(0)).toBe('on')
    expect(ran).toEqual([1, 0])
  })
})

test('an error of an unknown class keeps its name and its own fields', async () => {
  const { failWith } = await working(() => {
    throw new Overdrawn('Too little')
  })
  expect(await failWith()).toMatchObject({
    code: 'JOB_FAILED',
    details: { job: 'work', name: 'Overdrawn' },
    cause: { name: 'Overdrawn', message: 'Too little', accountId: '7', limit: expect.stringContaining('"cents":300') },
  })
})

test('causes and the errors of an AggregateError arrive, with the remote stack of each', async () => {
  const { failWith } = await working(() => {
    const first = new StrataError('LOCK_TIMEOUT', 'Taken', { transient: true, details: { ms: 5 } })
    throw new AggregateError([first, new TypeError('second')], 'Both', { cause: new Error('why', { cause: 'text' }) })
  })
  const error = await failWith()
  const both = (error as Error).cause as AggregateError
  expect(both).toBeInstanceOf(AggregateError)
  expect(both).toMatchObject({
    message: 'Both',
    errors: [
      { code: 'LOCK_TIMEOUT', outcome: 'not-applied', transient: true, details: { ms: 5 } },
      { name: 'TypeError', message: 'second' },
    ],
    cause: { message: 'why', cause: { name: 'NonError', message: 'Thrown: text' } },
  })
  const [, second] = both.errors
  expect(second).toMatchObject({ remoteStack: expect.stringContaining('errors.int.test') })
  expect(second.stack).not.toBe(second.remoteStack)
})

test('an error cannot reach the prototypes of its caller', async () => {
  const { failWith } = await working(() => {
    throw Object.assign(
      new Error('no'),
      JSON.parse('{"__proto__": {"polluted": 1}, "own": {"__proto__": {"polluted": 1}}}'),
    )
  })
  const { cause } = (await failWith()) as Error
  expect(Object.getPrototypeOf(cause)).toBe(Error.prototype)
  expect(cause).not.toHaveProperty('polluted')
  expect(({} as { polluted?: number }).polluted).toBeUndefined()
})

describe('attempts', () => {
  test('are not spent on a refusal: a StrataError that was not applied and is not transient', async () => {
    const refusal = new StrataError('INSUFFICIENT_FUNDS', 'Too little', { details: { cents: 3 } })
    const { ran, failWith } = await working(() => {
      throw refusal
    })
    const { details, message } = refusal
    const refused = { code: 'INSUFFICIENT_FUNDS', name: 'StrataError', outcome: 'not-applied', message, details }
    expect(await failWith(1, 3)).toMatchObject(refused)
    expect(ran).toEqual([1])
  })

  test.each([
    ['transient', { transient: true } as const],
    ['of an unknown outcome', { outcome: 'unknown' } as const],
    ['not transient, and was applied', { outcome: 'applied' } as const],
  ])('are spent on a StrataError that is %s', async (_, options) => {
    const { ran, failWith } = await working(() => {
      throw new StrataError('X', 'x', options)
    })
    expect(await failWith(1, 3)).toMatchObject({ code: 'X' })
    expect(ran).toEqual([1, 1, 1])
  })

  test('leave the outcome unknown where an earlier one may have done a part', async () => {
    const { ran, failWith } = await working(() => {
      if (ran.length === 1) throw new Error('lost')
      throw new StrataError('INSUFFICIENT_FUNDS', 'Too little')
    })
    expect(await failWith(1, 3)).toMatchObject({ code: 'INSUFFICIENT_FUNDS', outcome: 'unknown' })
    expect(ran).toEqual([1, 1])
  })

  test('of a push are not spent on a refusal either, and its result tells it', async () => {
    const { ran, queues } = await working(() => {
      throw new StrataError('INSUFFICIENT_FUNDS', 'Too little')
    })
    const pushed = await queues.push(job, { n: 2 }, { attempts: 3 })
    await expect(pushed.result()).rejects.toMatchObject({ code: 'INSUFFICIENT_FUNDS', outcome: 'not-applied' })
    expect(ran).toEqual([2])
  })
})

describe('a result that JSON would change is refused with its path, and the job does not run again', () => {
  const sparse: number[] = []
  sparse[1] = 1
  const results: [string, unknown, string][] = [
    ['a big integer', { a: [1n] }, '$.a[0]'],
    ['a date', { at: new Date() }, '$.at'],
    ['a map', new Map(), '$'],
    ['a set', { s: new Set() }, '$.s'],
    ['bytes', { b: Buffer.from('b') }, '$.b'],
    ['NaN', [Number.NaN], '$[0]'],
    ['a hole', { list: sparse }, '$.list[0]'],
    ['a circle', circular, '$.self'],
    ['an instance', { e: new Overdrawn() }, '$.e'],
    ['an object with toJSON', { a: { toJSON: () => 1 } }, '$.a'],
    ['a proxy that throws', { a: hostile }, '$.a'],
    ['an array with properties', { a: Object.assign([1], { b: 2 }) }, '$.a'],
  ]
  test.each(results)('%s', async (_, result, path) => {
    const { call, ran } = await working(() => result)
    await expect(call(1)).rejects.toMatchObject({
      code: 'RESULT_INVALID',
      outcome: 'applied',
      details: { issues: [{ path }] },
    })
    expect(ran).toEqual([1])
  })

  test('-0, an undefined property and a key named __proto__ are carried as JSON carries them', async () => {
    const { call } = await working(n => (n === 1 ? { zero: -0, none: undefined } : JSON.parse('{"__proto__":{"a":1}}')))
    expect(await call(1)).toStrictEqual({ zero: 0 })
    const found = (await call(2)) as object
    expect(Object.keys(found)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(found)).toBe(Object.prototype)
  })
})
