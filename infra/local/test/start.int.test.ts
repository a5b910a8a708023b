import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
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
  until(() => local.stdout().includes('try: '), { deadlineMs: 30_000, message: 'the local start to be ready' })
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
    const [first, second] = local.stdout().split('\n')
    expect(first).toMatch(/^ready http:\/\/127\.0\.0\.1:\d+$/)
    expect(second).toMatch(/^try: curl .*\/students/)
    expect(workerPids(local)).toHaveLength(2)
    local.kill('SIGINT')
    expect(await local.exited).toEqual({ code: 0, signal: null })
    expect(local.stderr().match(/(?:api|worker) stopped/g)).toEqual(['api stopped', 'worker stopped', 'worker stopped'])
  })

  test('a setting that an app refuses ends with 2, and is told once', async () => {
    const local = await start({ POOL_MAX: 'many' })
    expect(await local.exited).toEqual({ code: 2, signal: null })
    expect(local.stderr().match(/POOL_MAX/g)).toHaveLength(1)
  })

  test('a wrong number of workers ends with 2 before anything is started', async () => {
    const local = await start({ WORKERS: '1.5', MONGO_URL: 'mongodb://127.0.0.1:1' })
    expect(await local.exited).toEqual({ code: 2, signal: null })
    expect(local.stderr()).toContain('WORKERS is "1.5", expected a whole number')
  })

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

  test('a worker that dies stops everything, with its last lines', async () => {
    const local = await start()
    await ready(local)
    const [pid = 0] = workerPids(local)
    process.kill(pid, 'SIGKILL')
    expect(await local.exited).toEqual({ code: 1, signal: null })
    expect(local.stderr()).toMatch(
      /The worker process 1 ended by itself \(SIGKILL\); its last lines were:\nworker \d+ ready/,
    )
    expect(local.stderr()).toContain('api stopped')
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
