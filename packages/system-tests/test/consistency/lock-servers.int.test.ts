import { createLock } from '@strata/consistency/lock'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { gate, type Member, type ServerHandle, startMongo, until } from '@strata/testkit'
import { MongoClient } from 'mongodb'
import { afterEach, expect, test } from 'vitest'

const stops: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function started(members: 1 | 3 = 1): Promise<ServerHandle> {
  const server = await startMongo({ private: true, members, report: () => {} })
  stops.push(() => server.stop())
  return server
}

/** Locks as if in a process of their own. */
async function locksOn({ url }: ServerHandle, ttlMs: number) {
  const store = mongoDatasource({ name: 'main', url, database: 'locks' })
  const db = createDbContext({ datasources: [store] })
  stops.push(() => db.stop({ deadlineMs: 2000 }))
  await db.start()
  const reports: unknown[] = []
  const lock = createLock({ db, datasource: store, ttlMs, report: error => void reports.push(error) })
  return { db, lock, reports }
}

function onlyMember({ members }: ServerHandle): Member {
  const [member] = members
  if (!member) throw new Error('This test stops a server and needs a program of its own: STRATA_MONGO=wheel')
  return member
}

const ended = (work: Promise<unknown>) => work.catch((error: unknown) => error)

test('while its server hangs a lease is lost, and no wait or try hangs with it', async () => {
  const server = await started()
  const { db, lock, reports } = await locksOn(server, 4000)
  const [isHeld, never] = [gate(), new Promise<never>(() => {})]
  await lock.withLease('a', async () => 1)
  const member = onlyMember(server)
  const work = ended(
    db.run(() =>
      lock.withLease('a', async () => {
        isHeld.open()
        return await never
      }),
    ),
  )
  await isHeld.wait()
  const held = await lock.inspect('a')
  const begun = performance.now()
  member.kill('SIGSTOP')
  try {
    const waits = ended(db.run(() => lock.withLease('b', async () => 1, { waitMs: 100 })))
    const signal = AbortSignal.timeout(100)
    const given = ended(db.run(() => lock.withLease('c', async () => 1, { waitMs: 600_000, signal })))
    const tried = ended(lock.tryAcquire('d', { ttlMs: 1000 }))
    const told = await Promise.all([waits, given, tried, work])
    expect(told).toMatchObject([
      { code: 'LOCK_WAIT_TIMEOUT', outcome: 'not-applied', transient: true },
      { code: 'ABORTED', outcome: 'not-applied' },
      { code: 'LOCK_LOST', outcome: 'not-applied', transient: true },
      { code: 'LOCK_LOST', outcome: 'unknown', details: { reason: 'expired' } },
    ])
    // The statements of a server that hangs take half a minute.
    expect(performance.now() - begun).toBeLessThan(15_000)
    expect(reports).toContainEqual(expect.objectContaining({ code: 'LOCK_UNANSWERED' }))
  } finally {
    member.kill('SIGCONT')
  }
  const next = await db.run(() => lock.withLease('a', async ({ token }) => token, { waitMs: 30_000 }))
  expect(next).toBeGreaterThan(held?.token ?? Number.POSITIVE_INFINITY)
})

test('a server that is killed and started again has the leases that it had, and its tokens go on', async () => {
  const server = await started()
  const [one, two] = [await locksOn(server, 60_000), await locksOn(server, 60_000)]
  const before = await one.lock.tryAcquire('a')
  const member = onlyMember(server)
  member.kill('SIGKILL')
  await member.restart()
  await until(() => two.lock.inspect('a'), { deadlineMs: 30_000, message: 'the server to answer' })
  expect(await two.lock.tryAcquire('a')).toBeUndefined()
  expect([before?.isHeld, await before?.release()]).toEqual([true, true])
  const after = await two.lock.tryAcquire('a')
  expect(after?.token).toBeGreaterThan(before?.token ?? Number.POSITIVE_INFINITY)
})

test('a lease is kept over an election, and nobody else is granted it', async () => {
  const server = await started(3)
  const [one, two] = [await locksOn(server, 20_000), await locksOn(server, 20_000)]
  const done = gate()
  const work = one.db.run(() =>
    one.lock.withLease(['a', 'b'], async lease => {
      await done.wait(50_000)
      return { isHeld: lease.isHeld, tokens: [lease.tokenOf('a'), lease.tokenOf('b')] as const }
    }),
  )
  await until(() => two.lock.inspect('b'), { deadlineMs: 10_000, message: 'the lease' })
  const client = await new MongoClient(server.url).connect()
  stops.push(() => client.close())
  await client.db('admin').command({ replSetStepDown: 10, secondaryCatchUpPeriodSecs: 0, force: true })
  /** From its grant to the end that it has by now: longer with each renewal. */
  const spanMs = async () => {
    const { ageMs = 0, leftMs = 0 } = (await two.lock.inspect('b'))?.holder ?? {}
    return ageMs + leftMs
  }
  const atElection = await until(spanMs, { deadlineMs: 30_000, message: 'a primary' })
  expect(await two.lock.tryAcquire(['b', 'c'])).toBeUndefined()
  const renewed = async () => (await spanMs()) > atElection + 1000
  await until(renewed, { deadlineMs: 40_000, message: 'a renewal by the new primary' })
  done.open()
  const { isHeld, tokens } = await work
  expect(isHeld).toBe(true)
  const after = await two.lock.tryAcquire(['a', 'b'])
  expect(after?.tokenOf('a')).toBeGreaterThan(tokens[0])
  expect(after?.tokenOf('b')).toBeGreaterThan(tokens[1])
})

test('a context that stops leaves its leases to their time, and says what it can of them', async () => {
  const server = await started()
  const [one, two] = [await locksOn(server, 1000), await locksOn(server, 1000)]
  const lease = await one.lock.tryAcquire('a')
  await one.db.stop({ deadlineMs: 2000 })
  const refused = { code: 'STOPPED', outcome: 'not-applied' }
  await expect(one.lock.tryAcquire('b')).rejects.toMatchObject(refused)
  await expect(one.lock.withLease('b', async () => 1)).rejects.toMatchObject(refused)
  await until(() => lease?.signal.aborted, { deadlineMs: 10_000, message: 'the loss' })
  await expect(lease?.release()).rejects.toMatchObject(refused)
  expect(one.reports.length).toBeGreaterThan(0)
  expect(await two.db.run(() => two.lock.withLease('a', async () => 'next'))).toBe('next')
})
