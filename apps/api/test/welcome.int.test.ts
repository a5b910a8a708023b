import { randomUUID } from 'node:crypto'
import { welcomeStudent } from '@strata/school'
import { until } from '@strata/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningSchool, startSchool } from './running-school.ts'
import { openClient } from './school-client.ts'

let school: RunningSchool
beforeAll(async () => {
  school = await startSchool({ env: { METRICS_PORT: '0' } })
})
afterAll(async () => {
  await school?.[Symbol.asyncDispose]()
})

const welcomesOf = (studentId: string) => school.database.collection('welcomes').find({ studentId }).toArray()

test('an enrolment is welcomed once, however often its job is delivered', async () => {
  await using client = await openClient(school)
  const studentId = await school.payer(100)
  const { body } = await school.request('POST', '/enrolments', { studentId, course: 'Logic', feeCents: 1 })
  const enrolmentId = String(body['id'])
  await until(async () => (await welcomesOf(studentId)).length > 0, { deadlineMs: 10_000, message: 'the welcome' })
  const again = { enrolmentId, studentId, course: 'Logic' }
  const results = await client.db.run(() =>
    Promise.all([1, 2].map(() => client.queues.pushAsync(welcomeStudent, again))),
  )
  const welcomes = await welcomesOf(studentId)
  expect(welcomes).toMatchObject([{ enrolmentId, text: 'Welcome to Logic, Ada' }])
  for (const { welcomed } of results) expect(welcomed).toBe(welcomes[0]?._id)
})

test('one that was refused is not, nor one that was repeated with its key twice', async () => {
  await using client = await openClient(school)
  const studentId = await school.payer(10)
  const enrol = (feeCents: number, key: string) =>
    school.request('POST', '/enrolments', { studentId, course: 'Logic', feeCents }, { 'idempotency-key': key })
  const key = randomUUID()
  const statuses = [await enrol(11, randomUUID()), await enrol(10, key), await enrol(10, key)].map(one => one.status)
  expect(statuses).toEqual([409, 201, 201])
  const rows = client.datasource.service.collection<{ _id: string; job: string; key: string }>('strata.outbox')
  // Told by the rows, each of which is a job: there is nothing to wait for where nothing is to come.
  expect(await rows.countDocuments({ job: welcomeStudent.name, key: studentId })).toBe(1)
})

test('the worker tells how far behind the outbox is', async () => {
  const url = await until(() => /"url":"(http[^"]+\/metrics)"/.exec(school.workers[0]?.stderr() ?? '')?.[1], {
    deadlineMs: 10_000,
    message: 'the worker to serve its metrics',
  })
  const text = async () => await (await fetch(String(url))).text()
  await until(async () => /^strata_outbox_lag\S* \d/m.test(await text()), {
    deadlineMs: 20_000,
    message: 'the lag of the outbox',
  })
  expect(await text()).toMatch(/^strata_outbox_depth\S* \d/m)
})
