import { fileURLToPath } from 'node:url'
import type { Isolation } from '@strata/db-context'
import { spawnNode, until } from '@strata/testkit'
import { expect, inject, it } from 'vitest'
import { startHarness } from './harness.ts'

interface Counter {
  _id: number
  n: number
}

const holderFile = fileURLToPath(new URL('holder-process.ts', import.meta.url))
const deed =
  (expected: string) =>
  (message: unknown): message is { did: string; bodies: number } =>
    typeof message === 'object' && message !== null && 'did' in message && message.did === expected

/** A process of its own that has written document 1 in a transaction, which goes on. */
async function withHolder(isolation: Isolation) {
  const harness = await startHarness({ url: inject('mongoUrl'), context: { isolation, lockWaitMs: 25_000 } })
  const outside = harness.plain.db(harness.database).collection<Counter>('documents')
  await outside.insertMany([1, 2].map(_id => ({ _id, n: 0 })))
  const holder = await spawnNode(holderFile, { args: [inject('mongoUrl'), harness.database, isolation], ipc: true })
  await holder.nextMessage(deed('write'), 20_000)
  const write = () =>
    harness.db.run(() => harness.store.collection<Counter>('documents').updateOne({ _id: 1 }, { $inc: { n: 10 } }), {
      deadlineMs: 20_000,
    })
  const end = async () => {
    await holder[Symbol.asyncDispose]()
    const admin = harness.plain.db('admin')
    const open = await admin.aggregate([{ $currentOp: { idleSessions: true } }]).toArray()
    const left = open.filter(({ appName, transaction }) => appName === harness.database && transaction)
    if (left.length > 0) await admin.command({ killSessions: left.map(({ lsid }) => ({ id: lsid.id })) })
    await harness[Symbol.asyncDispose]()
  }
  return { outside, holder, write, plain: harness.plain, [Symbol.asyncDispose]: end }
}

it.concurrent('a document of a process that was killed inside its transaction is free within 20 s', async () => {
  await using stage = await withHolder('levels')
  stage.holder.kill('SIGKILL')
  await stage.holder.exited
  expect(await stage.write()).toMatchObject({ modifiedCount: 1 })
  expect(await stage.outside.findOne({ _id: 1 })).toEqual({ _id: 1, n: 10 })
})

it.concurrent('without that it is still locked after 20 s: the symptom', async () => {
  await using stage = await withHolder('none')
  stage.holder.kill('SIGKILL')
  await stage.holder.exited
  expect(await stage.write().catch(error => error)).toMatchObject({ code: 'DEADLINE_EXCEEDED' })
})

it.concurrent('a process that was only paused finds its transaction gone, and nothing of it applied', async () => {
  await using stage = await withHolder('levels')
  stage.holder.kill('SIGSTOP')
  expect(await stage.write()).toMatchObject({ modifiedCount: 1 })
  stage.holder.kill('SIGCONT')
  stage.holder.send('go on')
  expect(await stage.holder.nextMessage(deed('commit'), 20_000)).toMatchObject({ bodies: 2 })
  expect(await stage.outside.find().toArray()).toEqual([
    { _id: 1, n: 11 },
    { _id: 2, n: 1 },
  ])
})

it.concurrent('a process that stops in order takes its entry with it', async () => {
  await using stage = await withHolder('levels')
  const entry = () => stage.plain.db('strata').collection('sessions').findOne({ pid: stage.holder.pid })
  // One of each level, of which the transaction has taken one.
  expect((await entry())?.['sessions']).toHaveLength(5)
  stage.holder.send('go on')
  await stage.holder.exited
  await until(async () => (await entry()) === null, { deadlineMs: 5000, message: 'the entry to be gone' })
})
