import { AsyncLocalStorage } from 'node:async_hooks'
import { EventEmitter } from 'node:events'
import { expect, it } from 'vitest'
import { FakeDatasource } from './conformance/index.ts'
import { createDbContext, type DbContext } from './db-context.ts'

const contexts = 10_000

/** What a piece of code sees of its context. */
const seen = (db: DbContext) => `${db.current.level} ${db.current.chain[0].id} ${db.current.transaction?.id ?? 'none'}`

/** Ways in which code goes on later, each of which must find the context it was written in. */
const detours: readonly ((body: () => string) => Promise<string>)[] = [
  async body => body(),
  body => new Promise(resolve => setImmediate(() => resolve(body()))),
  body => new Promise(resolve => setTimeout(() => resolve(body()), 0)),
  body => new Promise(resolve => process.nextTick(() => resolve(body()))),
  async body => (await Promise.all([body(), Promise.resolve().then(body)]))[1],
]

it('10,000 interleaved contexts with Promise.all, timers and emitters never see each other', async () => {
  const fake = new FakeDatasource({ pool: { max: contexts, timeoutMs: 30_000 } })
  const db = createDbContext({ datasources: [fake], levels: { max: 3 } })
  const one = (index: number) =>
    db.run(async () => {
      const id = db.current.chain[0].id
      const emitter = new EventEmitter()
      const heard: string[] = []
      emitter.on('event', () => heard.push(seen(db)))
      const check = async (level: number, transaction: string) => {
        const expected = `${level} ${id} ${transaction}`
        const results = await Promise.all(detours.map(detour => detour(() => seen(db))))
        expect(results.every(result => result === expected)).toBe(true)
        heard.length = 0
        emitter.emit('event')
        expect(heard).toEqual([expected])
      }
      await check(0, 'none')
      await Promise.all([
        db.switchDbIsolate(() => check(1, 'none')),
        db.switchDb(() => check(2 + (index % 2), 'none'), { level: 2 + (index % 2) }),
        db.transaction.begin(async () => {
          const mine = db.current.transaction?.id ?? ''
          await Promise.all([check(0, mine), db.switchDbIsolate(() => check(1, 'none'))])
          await check(0, mine)
        }),
      ])
      await check(0, 'none')
      return id
    })
  const ids = await Promise.all(Array.from({ length: contexts }, (_, index) => one(index)))
  expect(new Set(ids).size).toBe(contexts)
  await db.stop()
}, 60_000)

/** A worker as a request may make it: a timer that goes on after the request has ended, and calls the handler. */
function makeWorker<T>(handler: () => Promise<T>): { ended: Promise<T>; fire: () => void } {
  const gate = Promise.withResolvers<void>()
  return { ended: gate.promise.then(handler), fire: gate.resolve }
}

it('a plain async context leaks the transaction of whoever made the worker into its jobs', async () => {
  const plain = new AsyncLocalStorage<{ transaction: string }>()
  const worker = plain.run({ transaction: 'of the request' }, () =>
    makeWorker(async () => plain.getStore()?.transaction),
  )
  worker.fire()
  expect(await worker.ended).toBe('of the request')
})

it('a worker made inside a transaction runs its jobs in contexts of their own, and a job without one is refused', async () => {
  const fake = new FakeDatasource()
  const db = createDbContext({ datasources: [fake] })
  const job = { name: 'j', id: 'j1', level: 1, chain: [], lane: { queue: 'j', level: 1 } }
  const [entering, careless] = await db.run(() =>
    db.transaction.begin(
      async () =>
        [
          makeWorker(() => db.propagator.run(job, async () => seen(db))),
          makeWorker(() => fake.add('x').catch((error: { code: string }) => error.code)),
        ] as const,
    ),
  )
  entering.fire()
  careless.fire()
  expect(await entering.ended).toBe('1 j1 none')
  expect(await careless.ended).toBe('CONTEXT_ENDED')
  await db.stop()
})
