import { randomUUID } from 'node:crypto'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { gate, until } from '@strata/testkit'
import { expect, inject, it } from 'vitest'
import { type Counter, end } from './fixture.ts'

/**
 * Two datasources over one cluster. T (first datasource) has written X and wants the second; a stranger holds the second's
 * only connection, blocked on X. With pools of their own the document links what the order keeps apart.
 */
async function cross(secondUrl: string, cure: 'same level' | 'deeper' = 'same level') {
  const database = `pairs-${randomUUID()}`
  const pool = { max: 1, timeoutMs: 1000 }
  const first = mongoDatasource({ name: 'first', url: inject('mongoUrl'), database, pool })
  const second = mongoDatasource({ name: 'second', url: secondUrl, database, pool: { ...pool } })
  const db = createDbContext({ datasources: [first, second] })
  const documents = first.collection<Counter>('documents')
  const same = second.collection<Counter>('documents')
  const others = second.collection<Counter>('others')
  await db.run(() => documents.insertOne({ _id: 'X', n: 0 }))
  const written = gate()
  const issued = gate()
  const stranger = written.wait(5000).then(async () => {
    const update = db.run(() => same.updateMany({ _id: 'X' }, { $inc: { n: 1 } }))
    await until(() => db.activities().some(({ what }) => what.includes('updateMany')), {
      deadlineMs: 5000,
      message: 'the stranger to issue its write',
    })
    issued.open()
    return await end(update)
  })
  const wanted = () => others.insertOne({ _id: 'wanted', n: 1 })
  const inner = () => (cure === 'deeper' ? db.switchDbIsolate(wanted) : wanted())
  const ended = await end(
    db.run(() =>
      db.transaction.begin(async () => {
        await documents.updateOne({ _id: 'X' }, { $inc: { n: 1 } })
        written.open()
        await issued.wait(5000)
        await db.switchDb(inner, { datasource: 'second' })
        return 'completed'
      }),
    ),
  )
  await stranger
  const { n } = (await db.run(() => documents.findOne({ _id: 'X' }))) ?? { n: -1 }
  await db.stop()
  return { ended, n }
}

/** The same server under another name: what a context cannot see is one store. */
const otherName = () => inject('mongoUrl').replace('127.0.0.1', 'localhost')

it('with a pool each, a transaction starves behind a stranger that waits for its document', async () => {
  expect((await cross(otherName())).ended).toBe('POOL_TIMEOUT')
})

it('with one pool for one store the wait is refused at once, and completes one level deeper', async () => {
  expect((await cross(inject('mongoUrl'))).ended).toBe('HOLD_AND_WAIT')
  expect(await cross(inject('mongoUrl'), 'deeper')).toEqual({ ended: 'completed', n: 2 })
})
