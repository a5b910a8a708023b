import { randomUUID } from 'node:crypto'
import { createLock } from '@strata/consistency/lock'
import type { Servers } from '@strata/testkit'
import type { Benchmark, Contest, OpenBenchmark } from './benchmark.ts'
import { type BothSides, callersMax, openBothSides, operationTimeoutMs } from './both-sides.ts'
import { microsecondsPerOperation } from './load.ts'

interface BareLock {
  readonly _id: string
  readonly owner?: string
  readonly until?: Date
}

const goal = 0.85
const ttlMs = 10_000

/** What a lease costs that nobody else wants, against the two statements that it takes at least. */
export const lock: Benchmark = {
  name: 'lock',
  what: 'a lease taken and given back, against a bare pair of findOneAndUpdate that takes and frees a document',
  open,
}

async function open({ mongoUrl }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  // A lease's statements are on the service pool: as many connections as the reference has.
  const sides = undo.use(await openBothSides(mongoUrl, { serviceMax: callersMax }))
  const keys = Array.from({ length: callersMax }, (_, key) => `key-${key}`)
  const own = createLock({ db: sides.db, datasource: sides.datasource, ttlMs })
  await own.ensureIndexes()
  for (const key of keys) await own.tryAcquire(key).then(lease => lease?.release())
  await sides.raw.collection<BareLock>('bare').insertMany(keys.map(_id => ({ _id })))
  const contests = [1, callersMax].map(callers => contest(sides, keys.slice(0, callers), own))
  const stack = undo.move()
  return { contests, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

function contest({ db, raw }: BothSides, keys: readonly string[], own: ReturnType<typeof createLock>): Contest {
  const bare = raw.collection<BareLock>('bare')
  const takeAndFree = async (_id: string) => {
    const options = { maxTimeMS: operationTimeoutMs, returnDocument: 'after' } as const
    const owner = randomUUID()
    const isFree = { $or: [{ owner: { $exists: false } }, { until: { $lt: new Date() } }] }
    const until = new Date(Date.now() + ttlMs)
    await bare.findOneAndUpdate({ _id, ...isFree }, { $set: { owner, until } }, options)
    await bare.findOneAndUpdate({ _id, owner }, { $unset: { owner: true, until: true } }, options)
  }
  return {
    id: `lock.c${keys.length}`,
    what: `leases of ${keys.length} ${keys.length === 1 ? 'caller' : 'callers at once, each with a key of its own'}`,
    unit: 'leases/s',
    better: 'higher',
    goal,
    sliceMs: 50,
    ours: forMs => db.run(() => perSecond(keys, key => own.withLease(key, async () => {}), forMs)),
    reference: forMs => perSecond(keys, takeAndFree, forMs),
  }
}

/** Each caller has one of the keys. */
async function perSecond(
  keys: readonly string[],
  work: (key: string) => Promise<unknown>,
  forMs: number,
): Promise<number> {
  const free = [...keys]
  const operation = async () => {
    const key = free.pop() ?? ''
    await work(key)
    free.push(key)
  }
  return 1_000_000 / (await microsecondsPerOperation({ callers: keys.length, operation }, forMs))
}
