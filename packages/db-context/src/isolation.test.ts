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

it('a worker made inside a unit of work runs its jobs in contexts of their own', async () => {
  const fake = new FakeDatasource()
  const db = createDbContext({ datasources: [fake] })
  const jobs = new EventEmitter()
  const levels: string[] = []
  await db.run(() =>
    db.transaction.begin(async () => {
      jobs.on('job', () => {
        const job = { name: 'j', id: 'j1', level: 1, chain: [], lane: { queue: 'j', level: 1 } }
        void db.propagator.run(job, async () => levels.push(seen(db)))
      })
    }),
  )
  jobs.emit('job')
  await new Promise(resolve => setImmediate(resolve))
  expect(levels).toEqual(['1 j1 none'])
  await db.stop()
})
