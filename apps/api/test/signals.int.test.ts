import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { fileURLToPath } from 'node:url'
import { type NodeProcess, startFaultProxy, until } from '@strata/testkit'
import { describe, expect, inject, onTestFinished, test } from 'vitest'
import { holdAccount } from './held-account.ts'
import { pauseWorkers } from './paused-workers.ts'
import { type RunningSchool, showLogsOnFailure, startSchool } from './running-school.ts'

const main = (app: string) => fileURLToPath(new URL(`../../${app}/src/main.ts`, import.meta.url))
const stopMsMax = 10_000

async function connect(url: string): Promise<void> {
  const { hostname, port } = new URL(url)
  const socket = createConnection({ host: hostname, port: Number(port) })
  await once(socket, 'connect').finally(() => socket.destroy())
}

/** Sends signals until the process ends: those within 1.5 s of the first are one Ctrl-C that arrives more than once. */
async function endBySignals(child: NodeProcess) {
  let ended = false
  void child.exited.then(() => {
    ended = true
  })
  const toldAt = performance.now()
  const signal = () => {
    if (!ended) child.kill('SIGTERM')
    return ended
  }
  await until(signal, { deadlineMs: stopMsMax, message: 'the process to end' })
  return { ...(await child.exited), ms: performance.now() - toldAt }
}

describe('a second signal', () => {
  test('makes the API give up what it waits for', async context => {
    await using school = await startSchool({ env: { REQUESTS_STOP_MS: '60000' } })
    showLogsOnFailure(context, school)
    await pauseWorkers(school)
    const id = await school.payer(1000)
    const enrolment = school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 10 })
    await until(() => isWaiting(school), { deadlineMs: 10_000, message: 'the request to wait for a worker' })
    school.api.kill('SIGTERM')
    // At once, while the request goes on: whoever sends requests has to have stopped by then.
    const isRefused = () =>
      connect(school.url).then(
        () => false,
        error => error.code === 'ECONNREFUSED',
      )
    await until(isRefused, { deadlineMs: 5000, message: 'connections to be refused' })
    const { ms: _, ...end } = await endBySignals(school.api)
    expect(end).toEqual({ code: 0, signal: null })
    expect(await enrolment).toMatchObject({ status: 500, body: { code: expect.stringMatching(/^(CALL_)?ABORTED$/) } })
    expect(school.api.stderr()).toContain('"msg":"Stopping now"')
  })

  test('makes a worker that cannot end its jobs leave them, as while Redis is silent', async context => {
    await using redis = await startFaultProxy(inject('redisUrl'))
    await using school = await startSchool({ workers: 0 })
    showLogsOnFailure(context, school)
    await school.startWorker({ REDIS_URL: redis.url, JOBS_STOP_MS: '60000' })
    const id = await school.payer(1000)
    const free = await holdAccount(school, id)
    const enrolment = school.request('POST', '/enrolments', { studentId: id, course: 'Logic', feeCents: 10 })
    const isCharging = async () => (await lanesOf(school)).some(({ active }) => active > 0)
    await until(isCharging, { deadlineMs: 10_000, message: 'the charge to begin' })
    redis.blackhole()
    await free()
    const [worker] = school.workers
    if (!worker) throw new Error('No worker')
    const { ms, ...end } = await endBySignals(worker)
    expect(end).toEqual({ code: 0, signal: null })
    expect(ms).toBeGreaterThan(1400)
    // The charge is found where it was left, or was made already.
    await school.startWorker()
    expect(await enrolment).toMatchObject({ status: 201 })
    const account = await school.request('GET', `/accounts/${id}`)
    expect(account.body).toMatchObject({ balanceCents: 990 })
  })
})

const hasNamespaces = spawnSync('unshare', ['--user', '--map-root-user', '--pid', '--fork', 'true']).status === 0

describe('as the first process of a container', () => {
  test.skipIf(!hasNamespaces).for(['api', 'worker'])('%s ends in order on SIGTERM', async app => {
    await using school = await startSchool({ workers: 0 })
    const args = ['--user', '--map-root-user', '--pid', '--fork', '--kill-child', process.execPath]
    const container = spawn('unshare', [...args, '--conditions=@strata/source', main(app)], {
      env: { ...process.env, ...school.env },
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    })
    onTestFinished(() => void container.kill('SIGKILL'))
    const ended = once(container, 'exit')
    await once(container, 'message')
    const [first] = readFileSync(`/proc/${container.pid}/task/${container.pid}/children`, 'utf8').split(' ')
    process.kill(Number(first), 'SIGTERM')
    expect(await ended).toEqual([0, null])
  })
})

const lanesOf = async (school: RunningSchool) => {
  const { body } = await school.request('GET', '/levels')
  return body['lanes'] as { active: number; waiting: number }[]
}

const isWaiting = async (school: RunningSchool) => (await lanesOf(school)).some(({ waiting }) => waiting > 0)
