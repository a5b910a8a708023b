import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Servers, startServers, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

// Its own: what a run leaves behind is told from what runs of other suites use on servers that all share.
let servers: Servers
beforeAll(async () => {
  servers = await startServers({ private: true, report: () => {} })
})
afterAll(() => servers.stop())

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line on the servers of this file, as a person would on servers of theirs. */
function strata(...args: string[]): Promise<Ended> {
  const env = { ...process.env, MONGO_URL: servers.mongoUrl, REDIS_URL: servers.redisUrl }
  const child = spawn(process.execPath, ['--conditions=@strata/source', main, ...args], { env })
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', data => {
    output.stdout += data
  })
  child.stderr.on('data', data => {
    output.stderr += data
  })
  return new Promise(resolve => child.on('close', code => resolve({ code, ...output })))
}

const lastLine = ({ stdout }: Ended) => JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '')

/** What runs leave behind on servers that are not theirs. */
async function leftovers(): Promise<string[]> {
  await using client = new MongoClient(servers.mongoUrl)
  const redis = new Redis(servers.redisUrl)
  const { databases } = await client.db().admin().listDatabases({ nameOnly: true })
  const keys = await redis.keys('strata_lab_*')
  redis.disconnect()
  return [...databases.map(({ name }) => name).filter(name => /^strata_(lab|bench)_/.test(name)), ...keys]
}

test('the same scenario hangs without levels and completes with them, and nothing is left behind', async () => {
  const sizes = ['--roots', '5', '--deadline-ms', '3000', '--seed', '7', '--json']
  const hang = await strata('lab', 'pool', '--isolation', 'none', ...sizes)
  expect(lastLine(hang)).toMatchObject({
    scenario: 'pool',
    isolation: 'none',
    topology: 'load-balanced',
    roots: 5,
    depth: 2,
    pool: 1,
    lanes: 10,
    processes: 2,
    seed: 7,
    completed: 0,
    failed: 0,
    hung: 5,
    symptoms: { POOL_WAIT: 5 },
    peak: { connections: 2, slots: 2 },
    versions: { node: process.versions.node, mongodb: expect.any(String), bullmq: expect.stringMatching(/^\d/) },
    holders: { permits: expect.any(Number), calls: 2, jobs: 2, transactions: 2, operations: 0, slots: 2 },
    verdict: 'as-expected',
  })
  expect(hang.code).toBe(0)
  const cure = await strata('lab', 'pool', ...sizes.with(3, '20000'))
  expect(lastLine(cure)).toMatchObject({
    completed: 5,
    failed: 0,
    hung: 0,
    symptoms: {},
    held: 0,
    verdict: 'as-expected',
  })
  expect(cure.code).toBe(0)
  expect(await leftovers()).toEqual([])
})

test('a series plays scenarios so many times in a row, each with the next seed, and tells what was held', async () => {
  const flags = ['--size', '1', '--strangers', '3', '--roots', '5', '--times', '2', '--seed', '7', '--json']
  const ended = await strata('lab', 'blocked-slot', ...flags)
  const runs = ended.stdout.trimEnd().split('\n').slice(0, -1)
  for (const [index, run] of runs.entries()) {
    expect(JSON.parse(run)).toMatchObject({ seed: 7 + index, pool: 1, lanes: 1, strangers: 3, completed: 5, held: 0 })
    expect(JSON.parse(run).strangerRounds).toBeGreaterThanOrEqual(3)
  }
  expect(lastLine(ended)).toMatchObject({
    rows: [{ scenario: 'blocked-slot', times: 2, asExpected: 2, heldMax: 0, wrong: [] }],
    verdict: 'as-expected',
  })
  expect(ended.code).toBe(0)
  expect(await leftovers()).toEqual([])
})

test('an outcome that is not the promised one is exit 1, and a person reads why', async () => {
  const ended = await strata('lab', 'slots', '--isolation', 'none', '--lanes', '40', '--deadline-ms', '10000')
  expect(ended.code).toBe(1)
  expect(ended.stdout).toContain('NOT as promised')
  expect(ended.stderr).toContain('slots: a job keeps the worker slot')
})

test('a server that cannot be reached is one line and exit 1', async () => {
  const child = spawn(process.execPath, ['--conditions=@strata/source', main, 'lab', 'pool', '--json'], {
    env: { ...process.env, MONGO_URL: 'mongodb://127.0.0.1:1/?replicaSet=rs0', REDIS_URL: servers.redisUrl },
  })
  let stderr = ''
  child.stderr.on('data', data => {
    stderr += data
  })
  const code = await new Promise(resolve => child.on('close', resolve))
  expect(code).toBe(1)
  expect(stderr.trimEnd().split('\n').at(-1)).toMatch(/^error: .*MONGO_URL/)
})

test('the loss of the parent ends a run that hangs, and nothing is left behind', async () => {
  const args = ['lab', 'pool', '--isolation', 'none', '--roots', '5', '--deadline-ms', '600000']
  const child = spawn(process.execPath, ['--conditions=@strata/source', main, ...args], {
    env: { ...process.env, MONGO_URL: servers.mongoUrl, REDIS_URL: servers.redisUrl },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const hasBegun = async () => (await leftovers()).some(name => name.includes(':'))
  await until(hasBegun, { deadlineMs: 30_000, message: 'the run to have keys in Redis' })
  const begun = performance.now()
  // Not 'close': Node leaves that out after a disconnect.
  const ended = new Promise(resolve => child.on('exit', resolve))
  // What the channel of a killed parent does.
  child.disconnect()
  expect(await ended).toBe(1)
  expect(performance.now() - begun).toBeLessThan(9000)
  expect(await leftovers()).toEqual([])
})

test('the bench measures ours beside the driver', async () => {
  const ended = await strata('bench', 'context', '--rounds', '1', '--seconds', '1', '--json')
  expect(ended.code).toBe(0)
  const result = lastLine(ended)
  expect(result).toMatchObject({ name: 'context', rounds: 1, machine: { cores: expect.any(Number) } })
  expect(result.rows.map(({ id }: { id: string }) => id)).toEqual([
    'context.read.c1',
    'context.write.c1',
    'context.read.c16',
    'context.write.c16',
    'context.enter',
  ])
  for (const row of result.rows) {
    expect(row.ratio).toBeGreaterThan(0)
    expect(row).toMatchObject({ better: 'lower', unit: 'µs/operation', ratioMin: row.ratio, ratioMax: row.ratio })
  }
  expect(await leftovers()).toEqual([])
})
