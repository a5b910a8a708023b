import { createQueues, createWorker, type HandlerContext } from '@strata/queue'
import {
  addCourse,
  cancelEnrolment,
  chargeAccount,
  createLog,
  type EnrolmentInput,
  openSchool,
  reporter,
} from '@strata/school'
import { until } from '@strata/testkit'
import { addCourseHandler, cancelEnrolmentHandler, chargeAccountHandler, readConfig } from '@strata/worker/parts'
import { expect, test } from 'vitest'
import { type RunningSchool, startSchool } from './running-school.ts'

/**
 * A worker whose transaction of the first charge fails at its end, after the course was added. From then on the account
 * is empty, and `last` fails the runs that come after.
 */
async function startFailingWorker(env: NodeJS.ProcessEnv, last?: () => never) {
  const config = readConfig({ ...process.env, ...env, LOG_LEVEL: 'silent' })
  const log = createLog({ name: 'worker', level: config.logLevel })
  const school = openSchool(config, log)
  const { db, outbox } = school
  const report = reporter(log)
  const queues = createQueues({ db, redis: config.redis, outbox, report })
  const worker = createWorker({ db, redis: config.redis, report })
  const charge = chargeAccountHandler({ school, queues, callTimeoutMs: config.callTimeoutMs })
  const coursesThen: unknown[] = []

  const failAfterCall = async (enrolment: EnrolmentInput, { job }: HandlerContext) => {
    if (job.attemptsStarted > 1) return last ? last() : await charge(enrolment)
    const failed = db.transaction.begin(async () => {
      await charge(enrolment)
      throw new Error('Commit failed')
    })
    await failed.catch(() => {})
    coursesThen.push((await school.students.findOne({ _id: enrolment.studentId }))?.enrolments.length)
    await school.accounts.updateOne({ _id: enrolment.studentId }, { $set: { balanceCents: 0 } })
    return await failed
  }

  worker.handle(chargeAccount, failAfterCall)
  worker.handle(addCourse, addCourseHandler(school))
  worker.handle(cancelEnrolment, cancelEnrolmentHandler(school))
  await school.start()
  await worker.start()
  return {
    coursesThen,
    [Symbol.asyncDispose]: async () => {
      await worker.stop({ deadlineMs: 5000 })
      await outbox.stop({ deadlineMs: 5000 })
      await queues.stop({ deadlineMs: 5000 })
      await db.stop({ deadlineMs: 5000 })
    },
  }
}

async function expectNoCourseInTheEnd(school: RunningSchool, id: string): Promise<void> {
  const hasNone = async () => {
    const { body } = await school.request('GET', `/students/${id}`)
    return (body['courses'] as string[]).length === 0
  }
  await until(hasNone, { deadlineMs: 10_000, message: 'the course to be off the list again' })
  expect(await school.database.collection('charges').countDocuments({ state: 'charged' })).toBe(0)
}

test('a charge that is refused in its second run is cancelled: its first may have added the course', async () => {
  await using school = await startSchool({ workers: 0 })
  await using worker = await startFailingWorker(school.env)
  const id = await school.payer(400)
  const answer = await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 400 })
  expect(answer).toMatchObject({ status: 409, body: { code: 'INSUFFICIENT_FUNDS', outcome: 'unknown' } })
  expect(worker.coursesThen).toEqual([1])
  await expectNoCourseInTheEnd(school, id)
})

test('and so is one whose later runs fail before they do anything', async () => {
  await using school = await startSchool({ workers: 0 })
  const full = () => {
    throw Object.assign(new Error('No connection'), { code: 'POOL_TIMEOUT', outcome: 'not-applied', transient: true })
  }
  await using worker = await startFailingWorker(school.env, full)
  const id = await school.payer(400)
  const answer = await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 400 })
  expect(answer).toMatchObject({ status: 503, body: { code: 'POOL_TIMEOUT' } })
  expect(worker.coursesThen).toEqual([1])
  await expectNoCourseInTheEnd(school, id)
})
