import { randomUUID } from 'node:crypto'
import { MongoClient } from 'mongodb'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { type CommandFault, startCommandProxy } from '../src/index.ts'

interface Thing {
  readonly _id: number
}

const socketTimeoutMS = 500

/** A client whose first insert meets `fault`, and a client that goes past the proxy. */
async function inserting(target: string, fault: CommandFault) {
  const database = `commands-${randomUUID()}`
  let isStruck = false
  const proxy = await startCommandProxy(target, ({ name, document }) => {
    if (isStruck || name !== 'insert' || document()['$db'] !== database) return undefined
    isStruck = true
    return fault
  })
  const options = { maxPoolSize: 1, retryWrites: false, socketTimeoutMS }
  const client = new MongoClient(proxy.url, options)
  const outside = new MongoClient(target)
  onTestFinished(async () => {
    await outside.db(database).dropDatabase()
    await Promise.all([client.close(), outside.close(), proxy.stop()])
  })
  const things = client.db(database).collection<Thing>('things')
  const error: unknown = await things.insertOne({ _id: 1 }).catch(thrown => thrown)
  const applied = await outside.db(database).collection<Thing>('things').countDocuments()
  await things.insertOne({ _id: 2 })
  return { error, applied }
}

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('a command by way of %s', key => {
  const target = () => inject(key)

  test('never reaches the server, and the connection breaks', async () => {
    const { error, applied } = await inserting(target(), { kind: 'cut-before' })
    expect(error).toMatchObject({ name: 'MongoNetworkError' })
    expect(applied).toBe(0)
  })

  test('is done, and the connection breaks instead of carrying the reply', async () => {
    const { error, applied } = await inserting(target(), { kind: 'cut-after' })
    expect(error).toMatchObject({ name: 'MongoNetworkError' })
    expect(applied).toBe(1)
  })

  test('is done, and its reply never comes', async () => {
    const { error, applied } = await inserting(target(), { kind: 'drop-reply' })
    expect(error).toMatchObject({ name: 'MongoNetworkTimeoutError' })
    expect(applied).toBe(1)
  })

  test('is done, and told as something else', async () => {
    const document = { ok: 0, code: 11_602, codeName: 'InterruptedDueToReplStateChange', errmsg: 'forged' }
    const { error, applied } = await inserting(target(), { kind: 'replace-reply', document })
    expect(error).toMatchObject({ name: 'MongoServerError', code: 11_602 })
    expect(applied).toBe(1)
  })

  test('comes late', async () => {
    const begun = performance.now()
    const { error, applied } = await inserting(target(), { kind: 'delay', ms: 200 })
    expect(performance.now() - begun).toBeGreaterThan(190)
    expect(error).toMatchObject({ acknowledged: true })
    expect(applied).toBe(1)
  })
})
