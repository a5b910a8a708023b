import { randomUUID } from 'node:crypto'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { createQueues, defineJob } from '@strata/queue'
import { type FaultProxy, startFaultProxy, until } from '@strata/testkit'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { z } from 'zod'

const mail = defineJob({ name: 'mail', input: z.object({ to: z.string() }), output: z.void() })

const database = `test-${randomUUID()}`
const stops: (() => Promise<void>)[] = []
let proxy: FaultProxy

beforeAll(async () => {
  proxy = await startFaultProxy(inject('mongoUrl'))
})

afterAll(async () => {
  for (const stop of stops.reverse()) await stop()
  await proxy.stop()
})

function open() {
  const store = mongoDatasource({ name: 'school', url: proxy.url, database, serverSelectionTimeoutMs: 2000 })
  const db = createDbContext({ datasources: [store] })
  const queues = createQueues({ db, redis: inject('redisUrl'), prefix: database })
  stops.push(
    () => db.stop({ deadlineMs: 1000 }),
    () => queues.stop({ deadlineMs: 1000 }),
  )
  return { db, queues, students: store.collection<{ _id: string }>('students') }
}

/** Inserts a student and pushes a mail in one transaction; `beforeCommit` is its last step. */
async function enrol({ db, queues, students }: ReturnType<typeof open>, beforeCommit: () => void) {
  const hooks: string[] = []
  let id = ''
  const body = async () => {
    db.transaction.afterCommit(() => hooks.push('commit'))
    db.transaction.afterRollback(() => hooks.push('rollback'))
    await students.insertOne({ _id: randomUUID() })
    id = (await queues.push(mail, { to: 'ada' })).id
    beforeCommit()
  }
  const begun = db.run(() => db.transaction.begin(body, { deadlineMs: 6000 }))
  const error = await begun.catch((thrown: unknown) => thrown)
  return { error, id, hooks, isSent: (await queues.queue(mail).getJob(id)) !== undefined }
}

test('a push whose transaction has an unknown end is not sent, and is named by the error', async () => {
  const opened = open()
  await Promise.all([opened.db.start(), opened.queues.start()])
  const swallowed = Promise.withResolvers<void>()
  const enrolling = enrol(opened, () => {
    proxy.blackhole()
    const isLost = () => proxy.connections.some(({ lostBytes }) => lostBytes() > 0)
    until(isLost, { deadlineMs: 5000, message: 'the commit to be on its way' }).then(
      () => swallowed.resolve(),
      swallowed.reject,
    )
  })
  // A body that failed before it came so far would have nothing swallowed.
  await Promise.race([swallowed.promise, enrolling])
  proxy.refuse(true)
  proxy.cut()
  const { error, id, ...became } = await enrolling
  proxy.refuse(false)
  proxy.resume()
  expect(error).toMatchObject({
    code: 'COMMIT_UNKNOWN',
    outcome: 'unknown',
    details: { unpushed: [{ job: 'mail', id }] },
  })
  expect(became).toEqual({ hooks: [], isSent: false })
})

test('the same with a commit that is answered is sent', async () => {
  const { error, id, ...became } = await enrol(open(), () => {})
  expect(error).toBeUndefined()
  expect(id).not.toBe('')
  expect(became).toEqual({ hooks: ['commit'], isSent: true })
})
