import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type NodeProcess, spawnNode, until } from '@strata/testkit'
import { describe, expect, inject, onTestFinished, test } from 'vitest'

const startFile = fileURLToPath(new URL('fixtures/start.ts', import.meta.url))

async function start(env: NodeJS.ProcessEnv = {}): Promise<NodeProcess> {
  const dataDir = mkdtempSync(join(tmpdir(), 'strata-local-'))
  const shared = { MONGO_URL: inject('mongoUrl'), REDIS_URL: inject('redisUrl') }
  const local = await spawnNode(startFile, { env: { ...shared, PORT: '0', TEST_DATA_DIR: dataDir, ...env } })
  onTestFinished(async () => {
    await local[Symbol.asyncDispose]()
    rmSync(dataDir, { recursive: true, force: true })
  })
  return local
}

const ready = (local: NodeProcess) =>
  until(() => local.stdout().includes('docs: '), { deadlineMs: 30_000, message: 'the local start to be ready' })
const workerPids = (local: NodeProcess) =>
  [...local.stderr().matchAll(/worker (\d+) ready/g)].map(match => Number(match[1]))

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('local start', () => {
  test('says where it is ready and what to try, and stops API before workers', async () => {
    const local = await start({ WORKERS: '2' })
    await ready(local)
    const [first, second, third, ...more] = local.stdout().split('\n')
    expect(first).toMatch(/^ready http:\/\/127\.0\.0\.1:\d+$/)
    expect(second).toMatch(/^try: curl .*\/students/)
    expect(third).toBe(`docs: ${first?.slice('ready '.length)}/docs`)
    expect(more).toEqual([''])
    expect(workerPids(local)).toHaveLength(2)
    local.kill('SIGINT')
    expect(await local.exited).toEqual({ code: 0, signal: null })
    expect(local.stderr().match(/(?:api|worker) stopped/g)).toEqual(['api stopped', 'worker stopped', 'worker stopped'])
  })

  test('each worker has a port for its measurements, after the first one’s, and knows how many there are', async () => {
    const local = await start({ WORKERS: '3', METRICS_PORT: '20100' })
    await ready(local)
    const told = local.stderr().match(/METRICS_PORT \d+, one of \d/g)
    expect(told?.sort()).toEqual([0, 1, 2].map(n => `METRICS_PORT ${20_100 + n}, one of 3`))
  })

  test('ports for measurements that would not be enough are refused', async () => {
    const local = await start({ WORKERS: '3', METRICS_PORT: '65534', MONGO_URL: undefined, REDIS_URL: undefined })
    expect(await local.exited).toEqual({ code: 2, signal: null })
    expect(local.stderr()).toMatch(/^SETTING_INVALID: METRICS_PORT is "65534", expected at most 65533: 3 workers/)
  })

  test.each([
    { WORKERS: '1.5' },
    { POOL_MAX: 'many' },
    { STRATA_MONGO: 'nonsense' },
    { STRATA_REDIS: 'download' },
    { MONGO_URL: 'foo' },
    { REDIS_URL: 'foo' },
    { HOST: '192.0.2.1' },
    { HOST: 'no-such-host.invalid' },
  ])('%j ends with 2 and one line, before anything is started', async env => {
    const local = await start({ MONGO_URL: undefined, REDIS_URL: undefined, ...env })
    expect(await local.exited).toEqual({ code: 2, signal: null })
    const [[name, value] = []] = Object.entries(env)
    expect(local.stderr()).toMatch(new RegExp(`^[A-Z_]+: ${name} is "${value}"[^\\n]*\\n$`))
  })

  test.each([{ PORT: 'abc' }, { LEVELS_MAX: '0' }, { LANE_SLOTS: 'none' }])(
    '%j is judged by the apps’ own settings, before anything is started',
    async env => {
      const local = await spawnNode(fileURLToPath(new URL('../src/start.ts', import.meta.url)), { env })
      onTestFinished(() => local[Symbol.asyncDispose]())
      expect(await local.exited).toEqual({ code: 2, signal: null })
      const [[name, value] = []] = Object.entries(env)
      expect(local.stderr()).toMatch(new RegExp(`^SETTING_INVALID: ${name} is "${value}", expected [^\\n]*\\n$`))
    },
  )

  test('a taken port is named before anything is started', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    onTestFinished(() => void taken.close())
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' ? String(address?.port) : ''
    const local = await start({ PORT: port, MONGO_URL: 'mongodb://127.0.0.1:1' })
    expect(await local.exited).toEqual({ code: 1, signal: null })
    expect(local.stderr()).toContain(`PORT ${port} on 127.0.0.1 is taken`)
  })

  test('a worker that dies is started again, and the start goes on', async () => {
    const local = await start({ WORKERS: '2' })
    await ready(local)
    const [first = 0, second = 0] = workerPids(local)
    process.kill(first, 'SIGKILL')
    await until(() => workerPids(local).length === 3, { deadlineMs: 10_000, message: 'another worker' })
    expect(local.stderr()).toMatch(/The worker process \d ended by itself \(SIGKILL\); it is started again in 0\.1 s\n/)
    expect(isAlive(second)).toBe(true)
    local.kill('SIGINT')
    expect(await local.exited).toEqual({ code: 0, signal: null })
    expect(local.stderr().match(/worker stopped/g)).toHaveLength(2)
  })

  test('a worker that dies again and again stops everything, with its last lines', async () => {
    const local = await start()
    await ready(local)
    for (let started = 1; started <= 6; started += 1) {
      await until(() => workerPids(local).length === started, { deadlineMs: 10_000, message: `worker ${started}` })
      process.kill(workerPids(local)[started - 1] ?? 0, 'SIGKILL')
    }
    expect(await local.exited).toEqual({ code: 1, signal: null })
    expect(local.stderr()).toMatch(
      /The worker process 1 ended by itself \(SIGKILL\) after 5 restarts within a minute; its last lines were:\nworker \d+/,
    )
    expect(local.stderr()).toContain('api stopped')
  })

  test('an API process that dies stops everything', async () => {
    const local = await start()
    await ready(local)
    process.kill(Number(/api (\d+) begins/.exec(local.stderr())?.[1]), 'SIGKILL')
    expect(await local.exited).toEqual({ code: 1, signal: null })
    expect(local.stderr()).toMatch(/The API process ended by itself \(SIGKILL\); its last lines were:/)
    expect(local.stderr()).toContain('worker stopped')
  })

  test('a server that dies is named, and stops everything; its URL was said, a given one not', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'strata-local-'))
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true, maxRetries: 3 }))
    const local = await start({ REDIS_URL: undefined, TEST_DATA_DIR: dataDir })
    await ready(local)
    expect(local.stdout()).toMatch(/\nRedis: redis:\/\/127\.0\.0\.1:\d+\n$/)
    expect(local.stdout()).not.toContain('MongoDB:')
    const state = JSON.parse(readFileSync(join(dataDir, 'redis', 'state.json'), 'utf8'))
    const [{ pid }] = state.processes as [{ pid: number }]
    process.kill(pid, 'SIGKILL')
    expect(await local.exited).toEqual({ code: 1, signal: null })
    const told = new RegExp(`^Redis \\((valkey|redis)-server, pid ${pid}\\) ended by itself \\(SIGKILL\\)$`, 'm')
    expect(local.stderr()).toMatch(told)
    expect(local.stderr()).toMatch(/api stopped\n(.*\n)*worker stopped/)
  })

  test('a data folder that cannot be used is told with the variable that names it', async () => {
    const file = fileURLToPath(import.meta.url)
    const local = await start({ MONGO_URL: undefined, TEST_DATA_DIR: file })
    expect(await local.exited).toEqual({ code: 1, signal: null })
    expect(local.stderr()).toContain(`use another folder (STRATA_DATA names the folder, now ${file})`)
  })

  test('a stop while servers are starting is an orderly one', async () => {
    const local = await start({ MONGO_URL: undefined, REDIS_URL: undefined })
    await until(() => local.stderr().includes('Redis'), { deadlineMs: 20_000, message: 'a server to be on its way up' })
    local.kill('SIGTERM')
    expect(await local.exited).toEqual({ code: 0, signal: null })
  })

  test('nothing is left after it is killed', async () => {
    const local = await start()
    await ready(local)
    const [pid = 0] = workerPids(local)
    expect(isAlive(pid)).toBe(true)
    local.kill('SIGKILL')
    await until(() => !isAlive(pid), { deadlineMs: 10_000, message: 'the worker process to end' })
  })
})
