import { expect, test } from 'vitest'
import { startMongo, until } from '../src/index.ts'
import { scratchFolder, withMongo } from './scratch.ts'

const quiet = { report: () => {}, members: 3 } as const

test('three members elect another primary when theirs is killed, and take it back', async () => {
  await using mongo = await startMongo(quiet)
  await withMongo(mongo.url, async (db, client) => {
    const things = db.collection('things', { writeConcern: { w: 'majority' } })
    await things.insertOne({ before: true })
    const primary = async (): Promise<string> => (await client.db('admin').command({ hello: 1 }))['me']
    const first = await primary()
    const lost = mongo.members.find(member => first.endsWith(`:${member.port}`))
    lost?.kill()
    const isAnother = async (): Promise<boolean> => (await primary()) !== first
    await until(isAnother, { deadlineMs: 20_000, message: 'another primary' })
    await things.insertOne({ after: true })
    await lost?.restart()
    const states = async (): Promise<string[]> => {
      const status = await client.db('admin').command({ replSetGetStatus: 1 })
      return status['members'].map((member: { stateStr: string }) => member.stateStr).sort()
    }
    const isWhole = async (): Promise<boolean> => (await states()).join() === 'PRIMARY,SECONDARY,SECONDARY'
    await until(isWhole, { deadlineMs: 20_000, message: 'the killed member to be back' })
    expect(await things.countDocuments()).toBe(2)
  })
})

test('a folder with a set of three is refused for a set of one', async () => {
  const dataDir = scratchFolder()
  const three = await startMongo({ ...quiet, dataDir })
  await three.stop()
  await expect(startMongo({ report: () => {}, private: true, dataDir })).rejects.toMatchObject({
    code: 'SERVERS_DATA_FOLDER',
    message: expect.stringMatching(/holds a replica set of 3, asked for is one of 1/),
  })
  await using again = await startMongo({ ...quiet, dataDir })
  expect(again.url).toBe(three.url)
})

test('arguments reach the server, which is then nobody else’s', async () => {
  await using mongo = await startMongo({ report: () => {}, mongoArgs: ['--maxConns', '30'] })
  expect(mongo.rung).not.toBe('url')
  const status = await withMongo(mongo.url, db => db.admin().serverStatus())
  expect(status['connections'].current + status['connections'].available).toBe(30)
})
