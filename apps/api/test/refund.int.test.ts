import { randomUUID } from 'node:crypto'
import { createWorker } from '@strata/queue'
import { addCourse, cancelEnrolment, chargeAccount, settleEnrolment } from '@strata/school'
import { until } from '@strata/testkit'
import { addCourseHandler, chargeAccountHandler } from '@strata/worker/parts'
import { expect, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { pauseWorkers } from './paused-workers.ts'
import { type Answer, type RunningSchool, send, showLogsOnFailure, startApi, startSchool } from './running-school.ts'
import { openClient } from './school-client.ts'
import { stateOf } from './school-state.ts'

/** A charge is settled after 14 s, and the transactions of a killed process are ended within 20 s. */
const settledMsMax = 45_000
const timeout = 120_000
const env = { CALL_TIMEOUT_MS: '8000' }

const enrolmentOf = (studentId: string) => ({ studentId, course: 'Logic', feeCents: 10 })

interface Lane {
  readonly queue: string
  readonly level: number
  readonly waiting: number
}

/** Asks for an enrolment, and stops the clock of the API until it is charged: it has not learnt so, and not committed. */
async function chargeAndHold(school: RunningSchool, headers: Record<string, string>) {
  const goOn = await pauseWorkers(school)
  const studentId = await school.payer(100)
  const answer = school.request('POST', '/enrolments', enrolmentOf(studentId), headers).catch(() => undefined)
  const isSent = async () => {
    const { body } = await school.request('GET', '/levels')
    return (body['lanes'] as Lane[]).some(
      ({ queue, level, waiting }) => `${queue}~${level}` === 'account.charge~1' && waiting > 0,
    )
  }
  await until(isSent, { deadlineMs: 10_000, message: 'the charge to be sent' })
  school.api.kill('SIGSTOP')
  goOn()
  await until(async () => (await stateOf(school, studentId)).charged === 1, {
    deadlineMs: 20_000,
    message: 'the charge',
  })
  expect(await stateOf(school, studentId)).toEqual({ enrolled: 0, charged: 1, balanceCents: 90 })
  return { studentId, answer }
}

test('money that was charged for a killed API is back without anybody asking, and once', { timeout }, async context => {
  await using school = await startSchool({ env })
  showLogsOnFailure(context, school)
  const headers = { 'idempotency-key': randomUUID() }
  const { studentId, answer: lost } = await chargeAndHold(school, headers)
  for (const child of [school.api, ...school.workers]) {
    child.kill('SIGKILL')
    await child.exited
  }
  await lost

  await school.startWorker()
  const isBack = async () => (await stateOf(school, studentId)).balanceCents === 100
  await until(isBack, { deadlineMs: settledMsMax, message: 'the money to be back' })
  const refunded = { enrolled: 0, charged: 0, balanceCents: 100 }
  expect(await stateOf(school, studentId)).toEqual(refunded)

  // Delivered again, and cancelled besides.
  await using client = await openClient(school)
  const [charge] = await client.db.run(() => client.charges.find({ accountId: studentId }).toArray())
  const enrolment = { enrolmentId: String(charge?._id), ...enrolmentOf(studentId) }
  for (const job of [settleEnrolment, cancelEnrolment]) {
    expect(await client.db.run(() => client.queues.pushAsync(job, enrolment))).toEqual({ cancelled: true })
  }
  expect(await stateOf(school, studentId)).toEqual(refunded)

  // The charge of the first is no payment for the request that repeats it.
  const { api, url } = await startApi(school.env)
  try {
    const codes: unknown[] = []
    let answer: Answer | undefined
    const isAnswered = async () => {
      answer = await send(url, { method: 'POST', path: '/enrolments', body: enrolmentOf(studentId), headers })
      codes.push(answer.body['code'])
      return answer.status === 201
    }
    await until(isAnswered, { deadlineMs: 30_000, message: 'the request to be answered' })
    expect(codes).toEqual(['ENROLMENT_CANCELLED', undefined])
    expect(answer?.body['id']).not.toBe(enrolment.enrolmentId)
    expect(await stateOf(school, studentId)).toEqual({ enrolled: 1, charged: 1, balanceCents: 90 })
  } finally {
    await api[Symbol.asyncDispose]()
  }
})

test('a settlement that comes while the enrolment commits leaves it as it is', { timeout }, async context => {
  await using school = await startSchool({ env })
  showLogsOnFailure(context, school)
  await using client = await openClient(school)
  const { studentId, answer } = await chargeAndHold(school, {})
  const [charge] = await client.db.run(() => client.charges.find({ accountId: studentId }).toArray())
  const enrolment = { enrolmentId: String(charge?._id), ...enrolmentOf(studentId) }
  const settled = await client.queues.push(settleEnrolment, enrolment)
  // Put back: the enrolment that it would take the id of is written, and not committed.
  const isHeldUp = () => school.workers.some(({ stderr }) => stderr().includes('"job":"enrolment.settle"'))
  await until(isHeldUp, { deadlineMs: 10_000, message: 'the settlement to be held up' })
  school.api.kill('SIGCONT')
  expect(await answer).toMatchObject({ status: 201, body: { id: enrolment.enrolmentId } })
  expect(await settled.result({ deadlineMs: 30_000 })).toEqual({ cancelled: false })
  expect(await stateOf(school, studentId)).toEqual({ enrolled: 1, charged: 1, balanceCents: 90 })
})

test('without the job that is committed with the charge nothing is left that would pay it back: the symptom', {
  timeout,
}, async context => {
  await using school = await startSchool({ workers: 0, env })
  showLogsOnFailure(context, school)
  await using client = await openClient(school)
  const { db, queues } = client
  const unsettled: typeof queues = {
    ...queues,
    push: async () => ({ id: '', result: () => Promise.reject(new Error('Not sent')) }),
  }
  const charge = chargeAccountHandler({ school: client, queues: unsettled, callTimeoutMs: 8000 })
  const { redis } = readConfig({ ...process.env, ...school.env })
  await using worker = createWorker({ db, redis, report: () => {} })
  const killedIn = Promise.withResolvers<string>()
  worker.handle(addCourse, addCourseHandler(client))
  worker.handle(chargeAccount, async enrolment => {
    const charged = await charge(enrolment)
    killedIn.resolve(enrolment.enrolmentId)
    school.api.kill('SIGKILL')
    await school.api.exited
    return charged
  })
  await worker.start()
  const studentId = await school.payer(100)
  await expect(school.request('POST', '/enrolments', enrolmentOf(studentId))).rejects.toThrow('fetch failed')
  const _id = await killedIn.promise
  const enrolments = school.database.collection<{ _id: string }>('enrolments')
  // Its id can be taken once the transaction of the dead process has been ended: it will not come about any more.
  const isOver = async () => (await enrolments.insertOne({ _id }, { maxTimeMS: 1000 })).acknowledged
  await until(isOver, { deadlineMs: 40_000, message: 'the enrolment to have failed' })

  expect(await client.outbox.backlog()).toMatchObject({ depth: 0, setAside: 0 })
  // Both cancellations have one queue.
  expect(Object.values(await queues.queue(cancelEnrolment).getJobCounts()).filter(count => count > 0)).toEqual([])
  expect(await stateOf(school, studentId)).toEqual({ enrolled: 0, charged: 1, balanceCents: 90 })
})
