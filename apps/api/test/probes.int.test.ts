import { fileURLToPath } from 'node:url'
import { type NodeProcess, spawnNode, startFaultProxy, until } from '@strata/testkit'
import { describe, expect, inject, test } from 'vitest'
import { holdAccount } from './held-account.ts'
import { showLogsOnFailure, startSchool } from './running-school.ts'

const workerMain = fileURLToPath(new URL('../../worker/src/main.ts', import.meta.url))

/** Asks a worker that was given a port for its measurements. */
function asking(worker: NodeProcess | undefined) {
  const url = () => /"url":"(http[^"]+)\/metrics"/.exec(worker?.stderr() ?? '')?.[1]
  return async (path: string) => {
    await until(() => url() !== undefined, { deadlineMs: 10_000, message: 'the worker to listen' })
    const response = await fetch(`${url()}${path}`)
    return { status: response.status, text: await response.text() }
  }
}

describe('a worker that is given a port', () => {
  test('serves its measurements', async () => {
    await using school = await startSchool({ env: { METRICS_PORT: '0' } })
    await school.request('PUT', `/students/${await school.student()}/name`, { name: 'Grace' })
    const { text } = await asking(school.workers[0])('/metrics')
    expect(text).toMatch(/^strata_queue_job_duration_count\{job="student.rename",level="1".*} 1/m)
    expect(text).toMatch(/^strata_pool_max\{datasource="school",level="1".*} 10/m)
  })

  test('is alive whatever its servers do, and ready while they answer', async context => {
    await using mongo = await startFaultProxy(inject('mongoUrl'))
    await using redis = await startFaultProxy(inject('redisUrl'))
    const env = { METRICS_PORT: '0', MONGO_URL: mongo.url, REDIS_URL: redis.url }
    await using school = await startSchool({ env })
    showLogsOnFailure(context, school)
    const ask = asking(school.workers[0])
    const health = async () => {
      const { status, text } = await ask('/health')
      return { http: status, ...JSON.parse(text) }
    }
    expect(await health()).toEqual({ http: 200, status: 'ok', mongo: 'up', redis: 'up' })
    redis.blackhole()
    expect(await health()).toEqual({ http: 503, status: 'down', mongo: 'up', redis: 'down' })
    mongo.blackhole()
    expect(await health()).toEqual({ http: 503, status: 'down', mongo: 'down', redis: 'down' })
    expect(await ask('/live')).toEqual({ status: 200, text: '{"status":"ok"}' })
    expect((await ask('/other')).status).toBe(404)
    redis.resume()
    mongo.resume()
    await until(async () => (await health()).http === 200, { deadlineMs: 20_000, message: 'both to be up again' })
  })

  test('is alive and not ready while it starts, and ends when a server does not answer', async () => {
    await using redis = await startFaultProxy(inject('redisUrl'))
    redis.blackhole()
    const env = { METRICS_PORT: '0', MONGO_URL: inject('mongoUrl'), REDIS_URL: redis.url, LOG_LEVEL: 'info' }
    await using worker = await spawnNode(workerMain, { env })
    const ask = asking(worker)
    expect(await ask('/live')).toMatchObject({ status: 200 })
    expect(await ask('/health')).toEqual({ status: 503, text: '{"status":"starting"}' })
    expect(await worker.exited).toEqual({ code: 1, signal: null })
    expect(worker.stderr()).toContain('REDIS_UNREACHABLE: ')
  })

  test('is not ready once it is told to end, and under full load its jobs are left to another', async context => {
    await using school = await startSchool({ env: { METRICS_PORT: '0', LANE_SLOTS: '5' } })
    showLogsOnFailure(context, school)
    const [first] = school.workers
    const id = await school.payer(1000)
    const free = await holdAccount(school, id)
    const enrolments = Array.from({ length: 60 }, (_, n) =>
      school.request('POST', '/enrolments', { studentId: id, course: `Course ${n}`, feeCents: 1 }),
    )
    const ask = asking(first)
    const isBusy = async () =>
      /^strata_queue_lane_active\{lane="account.charge~1".*} 5/m.test((await ask('/metrics')).text)
    await until(isBusy, { deadlineMs: 10_000, message: 'every slot to be taken' })
    const toldAt = performance.now()
    first?.kill()
    const isTold = () => first?.stderr().includes('"msg":"Stopping"') === true
    await until(isTold, { deadlineMs: 5000, message: 'the worker to be told' })
    expect(await ask('/health')).toEqual({ status: 503, text: '{"status":"stopping"}' })
    expect((await ask('/live')).status).toBe(200)
    expect(await first?.exited).toEqual({ code: 0, signal: null })
    // `docker stop` kills after 10 s, Kubernetes after 30 s.
    expect(performance.now() - toldAt).toBeLessThan(10_000)
    await free()
    await school.startWorker()
    const answers = await Promise.all(enrolments)
    const enrolled = answers.filter(({ status }) => status === 201).length
    expect(enrolled).toBeGreaterThan(0)
    expect(answers.filter(({ status, body }) => status !== 201 && body['code'] === undefined)).toEqual([])
    // Those that failed may have been charged, and are paid back then.
    const isWhole = async () =>
      (await school.request('GET', `/accounts/${id}`)).body['balanceCents'] === 1000 - enrolled
    await until(isWhole, { deadlineMs: 20_000, message: 'each enrolment to be whole or cancelled' })
  })

  test('says which port is taken', async () => {
    await using school = await startSchool({ workers: 0 })
    const env = { ...school.env, METRICS_PORT: new URL(school.url).port, LOG_LEVEL: 'silent' }
    await using worker = await spawnNode(workerMain, { env })
    expect(await worker.exited).toEqual({ code: 1, signal: null })
    expect(worker.stderr().trim()).toMatch(/^LISTEN_FAILED: .* \(EADDRINUSE\): change METRICS_PORT or HOST$/)
  })
})
