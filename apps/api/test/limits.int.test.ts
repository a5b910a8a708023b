import { until } from '@strata/testkit'
import { describe, expect, test } from 'vitest'
import { pauseWorkers } from './paused-workers.ts'
import { startSchool } from './running-school.ts'

describe('while workers stand still', () => {
  test('a call ends at its time limit, and a rename that never ran leaves nothing', async () => {
    await using school = await startSchool({ workers: 0, env: { CALL_TIMEOUT_MS: '300' } })
    const id = await school.student('Ada')
    const answer = await school.request('PUT', `/students/${id}/name`, { name: 'Grace' })
    expect(answer).toMatchObject({ status: 504, body: { code: 'CALL_TIMEOUT' } })
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect((await school.request('GET', `/students/${id}`)).body['name']).toBe('Ada')
    expect(await school.database.collection('audits').countDocuments()).toBe(0)
  })

  test('requests that wait for it count: one more than ADMISSION_MAX is refused, questions about state are not', async () => {
    await using school = await startSchool({ env: { ADMISSION_MAX: '1', CALL_TIMEOUT_MS: '30000' } })
    const id = await school.student()
    const goOn = await pauseWorkers(school)
    const waiting = school.request('PUT', `/students/${id}/name`, { name: 'Grace' })
    await until(() => isBusy(school.url), { deadlineMs: 5000, message: 'the rename to be under way' })
    const refused = await school.request('GET', `/students/${id}`)
    expect(refused).toMatchObject({ status: 503, body: { code: 'ADMISSION_FULL', outcome: 'not-applied' } })
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    for (const path of ['/live', '/health', '/levels', '/metrics', '/openapi.json']) {
      expect([path, (await school.request('GET', path)).status]).toEqual([path, 200])
    }
    goOn()
    expect((await waiting).status).toBe(200)
    expect((await school.request('GET', `/students/${id}`)).status).toBe(200)
  })

  test('a connection that does not come free in time is 503, with the time to try again', async () => {
    // Far longer than what comes before the one that is refused: all of it has to wait for the one connection, too.
    await using school = await startSchool({
      env: { POOL_MAX: '1', POOL_TIMEOUT_MS: '2000', CALL_TIMEOUT_MS: '30000' },
    })
    const id = await school.student()
    const goOn = await pauseWorkers(school)
    const waiting = school.request('PUT', `/students/${id}/name`, { name: 'Grace' })
    await until(() => isBusy(school.url), { deadlineMs: 5000, message: 'the rename to hold the connection' })
    const refused = await school.request('GET', `/students/${id}`)
    expect(refused).toMatchObject({
      status: 503,
      body: { code: 'POOL_TIMEOUT', outcome: 'not-applied', transient: true },
    })
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    goOn()
    expect((await waiting).status).toBe(200)
  })
})

/** Whether a transaction holds a connection of level 0. */
async function isBusy(url: string): Promise<boolean> {
  const { pools } = (await (await fetch(`${url}/levels`)).json()) as { pools: { level: number; inUse: number }[] }
  return pools.some(({ level, inUse }) => level === 0 && inUse > 0)
}

describe('levels', () => {
  test('an enrolment that needs one more than there are is refused, and moves no money', async () => {
    await using school = await startSchool({ env: { LEVELS_MAX: '1' } })
    const id = await school.payer(1000)
    const answer = await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 10 })
    expect(answer).toMatchObject({ status: 500, body: { code: 'LEVEL_LIMIT', outcome: 'not-applied' } })
    expect((await school.request('GET', `/accounts/${id}`)).body['balanceCents']).toBe(1000)
    expect(await school.database.collection('enrolments').countDocuments({ state: 'enrolled' })).toBe(0)
  })
})

describe('an enrolment whose call ends without an answer', () => {
  test('is cancelled: whether or not it was charged, the money is there in the end', async () => {
    await using school = await startSchool({ env: { CALL_TIMEOUT_MS: '700' } })
    const id = await school.payer(1000)
    // The student is locked from outside: the charge is made, and its job waits at level 2 until the call is over.
    const session = school.database.client.startSession()
    session.startTransaction()
    const students = school.database.collection<{ _id: string }>('students')
    await students.updateOne({ _id: id }, { $set: { locked: true } }, { session })
    const answer = await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 400 })
    await session.abortTransaction()
    await session.endSession()
    expect(answer).toMatchObject({ status: 504, body: { code: 'CALL_TIMEOUT', outcome: 'unknown' } })

    const enrolments = school.database.collection('enrolments')
    await until(() => enrolments.countDocuments({ studentId: id, state: 'cancelled' }), {
      deadlineMs: 30_000,
      message: 'the cancellation',
    })
    expect((await school.request('GET', `/accounts/${id}`)).body['balanceCents']).toBe(1000)
    expect((await school.request('GET', `/students/${id}`)).body['courses']).toEqual([])
    expect(await school.database.collection('charges').countDocuments({ state: 'charged' })).toBe(0)
    const again = await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 400 })
    expect(again.status).toBe(201)
  })
})
