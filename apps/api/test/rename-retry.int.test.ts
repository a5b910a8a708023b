import { until } from '@strata/testkit'
import type { Collection, Filter } from 'mongodb'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type RunningSchool, startSchool } from './running-school.ts'

let school: RunningSchool
beforeEach(async () => {
  school = await startSchool()
  // The server writes down every statement on this school's database.
  await school.database.command({ profile: 2 })
})
afterEach(async () => {
  await school?.[Symbol.asyncDispose]()
})

const writeConflict = 112
const timeExpired = 50
const waiting = { deadlineMs: 20_000 }

/** One statement, as the server has written it down. */
interface Profiled {
  readonly ns: string
  readonly op: string
  readonly errCode?: number
  readonly command: { readonly lsid: { readonly id: unknown } }
}

const profile = (): Collection<Profiled> => school.database.collection('system.profile')

/** Statements of the school's own processes on one collection. */
const statements = (collection: string, only: Filter<Profiled>): Filter<Profiled> => ({
  ns: `${school.database.databaseName}.${collection}`,
  appName: 'strata',
  ...only,
})
const auditRows = () => statements('audits', { op: 'insert' })

/** Makes everybody else conflict with the write, or wait for it. The result lets go of it. */
async function hold(write: 'audit' | 'student', id: string): Promise<() => Promise<void>> {
  const { database } = school
  const session = database.client.startSession()
  session.startTransaction()
  if (write === 'audit') await database.collection('audits').insertOne({ studentId: id }, { session })
  else
    await database
      .collection<{ _id: string }>('students')
      .updateOne({ _id: id }, { $set: { name: 'held' } }, { session })
  return async () => {
    await session.abortTransaction()
    await session.endSession()
  }
}

/** The student is renamed by one write of one job, and one row says so, although the body ran several times. */
async function expectOneRename(id: string): Promise<void> {
  expect((await school.request('GET', `/students/${id}`)).body['name']).toBe('Ada King')
  expect(await school.database.collection('audits').countDocuments({ studentId: id })).toBe(1)
  expect(await profile().countDocuments(auditRows())).toBeGreaterThan(1)
  const updates = statements('students', { op: 'update', errCode: { $exists: false } })
  expect(await profile().countDocuments(updates)).toBe(1)
}

test('a rename survives write conflicts', async () => {
  const id = await school.student('Ada')
  // The route's own rows never conflict: from here on two of one student do.
  await school.database.collection('audits').createIndex({ studentId: 1 }, { unique: true })
  const release = await hold('audit', id)
  const answer = school.request('PUT', `/students/${id}/name`, { name: 'Ada King' })
  const conflicts = statements('audits', { op: 'insert', errCode: writeConflict })
  const isRepeated = async () => (await profile().countDocuments(conflicts)) >= 2
  await until(isRepeated, { ...waiting, message: 'two conflicts' }).finally(release)
  expect(await answer).toMatchObject({ status: 200, body: { id, name: 'Ada King', levels: [0, 1] } })
  await expectOneRename(id)
})

test('and the loss of its transaction after its job has begun: the job does not run again', async () => {
  const id = await school.student('Ada')
  const release = await hold('student', id)
  const answer = school.request('PUT', `/students/${id}/name`, { name: 'Ada King' })
  const blocked = statements('students', { op: 'update', errCode: timeExpired })
  const hasBegun = async () => (await profile().countDocuments(blocked)) >= 1
  const killTransaction = async () => {
    const session = (await profile().findOne(auditRows()))?.command.lsid.id
    await school.database.client.db('admin').command({ killSessions: [{ id: session }] })
  }
  await until(hasBegun, { ...waiting, message: "the job's write to be blocked" })
    .then(killTransaction)
    .finally(release)
  expect(await answer).toMatchObject({ status: 200, body: { id, name: 'Ada King', levels: [0, 1] } })
  await expectOneRename(id)
})
