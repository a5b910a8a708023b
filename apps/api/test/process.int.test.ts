import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { spawnNode, startFaultProxy, until } from '@strata/testkit'
import { describe, expect, inject, test } from 'vitest'
import { pauseWorkers } from './paused-workers.ts'
import { type RunningSchool, showLogsOnFailure, startSchool } from './running-school.ts'

const main = (app: string) => fileURLToPath(new URL(`../../${app}/src/main.ts`, import.meta.url))
const stopMsMax = 10_000

describe('a process that cannot start says why, in one line', () => {
  const run = async (app: string, env: NodeJS.ProcessEnv) => {
    const child = await spawnNode(main(app), { env: { MONGO_URL: undefined, REDIS_URL: undefined, ...env } })
    const { code } = await child.exited
    return { code, lines: child.stderr().trim().split('\n') }
  }
  const urls = () => ({ MONGO_URL: inject('mongoUrl'), REDIS_URL: inject('redisUrl') })

  test.for(['api', 'worker'])('%s without URLs', async app => {
    const { code, lines } = await run(app, {})
    expect(code).toBe(2)
    expect(lines).toEqual([
      expect.stringMatching(/^SETTING_INVALID: MONGO_URL is not set.*npm start.*; REDIS_URL is not set/),
    ])
  })

  test.for([
    ['api', 'PORT', '70000'],
    ['worker', 'LEVELS_MAX', '1.5'],
  ] as const)('%s with %s=%s', async ([app, name, value]) => {
    const { code, lines } = await run(app, { ...urls(), [name]: value })
    expect(code).toBe(2)
    expect(lines).toEqual([expect.stringMatching(`^SETTING_INVALID: ${name} is "${value}", expected `)])
  })

  test('a URL that MongoDB’s driver cannot use', async () => {
    const { code, lines } = await run('api', { ...urls(), MONGO_URL: 'mongodb://127.0.0.1:port/school' })
    expect([code, lines.length]).toEqual([2, 1])
  })

  test.for(['api', 'worker'])('%s with servers that are not there', async app => {
    const { code, lines } = await run(app, {
      MONGO_URL: 'mongodb://127.0.0.1:1/school?directConnection=true',
      REDIS_URL: 'redis://127.0.0.1:1',
      LOG_LEVEL: 'silent',
    })
    expect(code).toBe(1)
    expect(lines.at(-1)).toMatch(/^(SERVER|REDIS)_UNREACHABLE: /)
    expect(lines).toHaveLength(1)
  })

  test('an API whose port is taken', async () => {
    await using school = await startSchool({ workers: 0 })
    const { port } = new URL(school.url)
    const { code, lines } = await run('api', { ...school.env, PORT: port, LOG_LEVEL: 'silent' })
    expect(code).toBe(1)
    expect(lines).toEqual([
      expect.stringMatching(`^LISTEN_FAILED: Cannot listen on 127.0.0.1:${port} \\(EADDRINUSE\\): change PORT`),
    ])
  })
})

const collectionsOf = ({ database }: RunningSchool) => ({
  enrolments: database.collection('enrolments'),
  charges: database.collection('charges'),
  accounts: database.collection<{ _id: string; balanceCents: number }>('accounts'),
})

describe('a process that is told to end', () => {
  test.for([
    ['SIGTERM', 5],
    ['SIGINT', 80],
  ] as const)('on %s leaves none of %d enrolments half there, and exits with 0', async ([signal, count], context) => {
    await using school = await startSchool()
    showLogsOnFailure(context, school)
    const id = await school.payer(1000)
    // On one account, so that the many cannot all end in time: some are given up while their charge is under way.
    const enrol = (n: number) =>
      school.request('POST', '/enrolments', { studentId: id, course: `Course ${n}`, feeCents: 10 })
    // Some are cut off by the stop, before anybody waits for their answers.
    const enrolments = Array.from({ length: count }, (_, n) => enrol(n).catch(() => undefined))
    await enrolments[0]
    const toldAt = performance.now()
    school.api.kill(signal)
    expect(await school.api.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - toldAt).toBeLessThan(stopMsMax)
    const answers = await Promise.all(enrolments)
    expect(answers[0]?.status).toBe(201)
    const { enrolments: rows, charges, accounts } = collectionsOf(school)
    const isWhole = async () => {
      const [enrolled, charged, account] = [
        await rows.countDocuments({ state: 'enrolled' }),
        await charges.countDocuments({ state: 'charged' }),
        await accounts.findOne(),
      ]
      return charged === enrolled && account?.['balanceCents'] === 1000 - enrolled * 10
    }
    await until(isWhole, { deadlineMs: 20_000, message: 'each enrolment to be whole or cancelled' })
    const stoppedAt = performance.now()
    for (const worker of school.workers) {
      worker.kill(signal)
      expect(await worker.exited).toEqual({ code: 0, signal: null })
      expect(performance.now() - stoppedAt).toBeLessThan(stopMsMax)
    }
    expect(await isWhole()).toBe(true)
  })

  test('gives up what cannot end in time, answers so, and leaves nothing half-written', async () => {
    await using school = await startSchool()
    const goOn = await pauseWorkers(school)
    const id = await school.payer(1000)
    const enrolment = school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 10 })
    const rename = school.request('PUT', `/students/${id}/name`, { name: 'Grace' })
    const isHeld = async () => {
      const { body } = await school.request('GET', '/levels')
      return (body['pools'] as { inUse: number }[])[0]?.inUse === 2
    }
    await until(isHeld, { deadlineMs: 10_000, message: 'both to wait for a worker' })
    const toldAt = performance.now()
    school.api.kill('SIGTERM')
    for (const answer of await Promise.all([enrolment, rename])) {
      expect(answer).toMatchObject({ status: 500, body: { code: expect.stringMatching(/^(CALL_)?ABORTED$/) } })
    }
    expect(await school.api.exited).toEqual({ code: 0, signal: null })
    expect(performance.now() - toldAt).toBeLessThan(stopMsMax)

    goOn()
    // In order: a worker that is killed in a transaction would keep its documents, and the end of this test, for a minute.
    for (const worker of school.workers) {
      worker.kill('SIGTERM')
      expect(await worker.exited).toEqual({ code: 0, signal: null })
    }
    const { enrolments, charges, accounts } = collectionsOf(school)
    expect(await enrolments.countDocuments({ studentId: id, state: 'enrolled' })).toBe(0)
    expect(await charges.countDocuments({ accountId: id, state: 'charged' })).toBe(0)
    expect((await accounts.findOne({ _id: id }))?.['balanceCents']).toBe(1000)
  })

  test('ends as well when whoever started it is gone', async () => {
    await using school = await startSchool({ workers: 0 })
    for (const app of ['api', 'worker']) {
      const child = spawn(process.execPath, ['--conditions=@strata/source', main(app)], {
        env: { ...process.env, ...school.env },
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      })
      await once(child, 'message')
      child.disconnect()
      expect(await once(child, 'exit')).toEqual([0, null])
    }
  })
})

describe('isolation none', () => {
  test('is named unsafe in both logs, and works while nobody waits for nobody', async () => {
    await using school = await startSchool({ env: { ISOLATION: 'none' } })
    const id = await school.payer(100)
    const answer = await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 100 })
    expect(answer).toMatchObject({ status: 201, body: { levels: [0, 1, 2] } })
    for (const child of [school.api, ...school.workers]) expect(child.stderr()).toContain('UNSAFE: isolation is none')
  })
})

const jobLines = ({ workers }: RunningSchool) =>
  (workers[0]?.stderr() ?? '')
    .split('\n')
    .filter(line => line.includes('"msg":"job"'))
    .map(line => JSON.parse(line) as Record<string, unknown>)

describe('a worker', () => {
  test('leaves one line a job, with level, chain and duration', async () => {
    await using school = await startSchool()
    const id = await school.payer(100)
    await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 1 })
    const lines = () => jobLines(school)
    await until(() => lines().length === 3, { deadlineMs: 5000, message: 'three lines' })
    expect(lines()).toMatchObject([
      { job: 'course.add', level: 2, chain: ['POST /enrolments@0', 'account.charge@1', 'course.add@2'] },
      { job: 'account.charge', level: 1, chain: ['POST /enrolments@0', 'account.charge@1'], result: 'completed' },
      { job: 'student.welcome', level: 1, chain: ['student.welcome@1'], result: 'completed' },
    ])
    for (const { ms } of lines()) expect(ms).toBeTypeOf('number')
  })

  test('does not try again what is refused, however many attempts the job has', async () => {
    await using school = await startSchool()
    const id = await school.payer(100)
    const refused = await school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 101 })
    expect(refused.body['code']).toBe('INSUFFICIENT_FUNDS')
    // After the refusal in the one log, so that a run before it would be there.
    await school.request('PUT', `/students/${id}/name`, { name: 'Grace' })
    await until(() => jobLines(school).some(({ job }) => job === 'student.rename'), {
      deadlineMs: 5000,
      message: 'the rename',
    })
    expect(jobLines(school).map(({ job }) => job)).toEqual(['account.charge', 'student.rename'])
  })
})

describe('when a server is down', () => {
  test('health says which one, in time, and says so when it is back', async () => {
    await using mongo = await startFaultProxy(inject('mongoUrl'))
    await using redis = await startFaultProxy(inject('redisUrl'))
    const env = { MONGO_URL: mongo.url, REDIS_URL: redis.url, LOG_LEVEL: 'silent' }
    await using school = await startSchool({ workers: 0, env })
    const health = async () => {
      const startedAt = performance.now()
      const { status, body } = await school.request('GET', '/health')
      // Two seconds by its own bound, and what a busy machine adds; an operation on a server that hangs waits for far longer.
      expect(performance.now() - startedAt).toBeLessThan(9000)
      return { http: status, ...body }
    }
    expect(await health()).toEqual({ http: 200, status: 'ok', mongo: 'up', redis: 'up' })
    redis.blackhole()
    expect(await health()).toEqual({ http: 503, status: 'down', mongo: 'up', redis: 'down' })
    mongo.blackhole()
    expect(await health()).toEqual({ http: 503, status: 'down', mongo: 'down', redis: 'down' })
    expect((await school.request('GET', '/live')).status).toBe(200)
    redis.resume()
    mongo.resume()
    await until(async () => (await health()).http === 200, { deadlineMs: 20_000, message: 'both to be up again' })
  })
})
