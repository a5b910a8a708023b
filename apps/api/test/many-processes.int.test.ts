import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { spawnNode } from '@strata/testkit'
import { readConfig as readWorkerConfig } from '@strata/worker/parts'
import { Redis } from 'ioredis'
import { describe, expect, inject, test } from 'vitest'
import { readConfig } from '../src/config.ts'
import { startSchool } from './running-school.ts'

const main = (app: string) => fileURLToPath(new URL(`../../${app}/src/main.ts`, import.meta.url))
const guide = (name: string) => readFileSync(new URL(`../../../docs/guides/${name}`, import.meta.url), 'utf8')

/** The rows of the table whose first heading is this. */
function tableOf(text: string, heading: string): string[][] {
  const lines = text.split('\n')
  const rows = lines.slice(lines.findIndex(line => line.startsWith(`| ${heading} |`)) + 2)
  const end = rows.findIndex(line => !line.startsWith('|'))
  return rows.slice(0, end).map(row =>
    row
      .split('|')
      .slice(1, -1)
      .map(cell => cell.trim().replace(',', '')),
  )
}

/** The guide's formulas. */
const mongo = ({ D = 4, P = 10, S = 2, C = 4 }) => (D + 1) * P + S + C + (D + 3)
const serving = ({ D = 4, Q = 1, s = 10 }) => 2 + Q * (D + 1) * Math.min(s, 4)
const sending = 2

interface Registered {
  readonly kind?: string
  readonly connections: number
  readonly processesMax?: number
}

/** What each process of the school has registered, smallest first. */
async function registered() {
  await using school = await startSchool({ env: { API_PROCESSES: '2', WORKERS: '3' } })
  const redis = new Redis(inject('redisUrl'))
  const entries = Object.values(await redis.hgetall(`${school.env['REDIS_PREFIX']}:~processes`))
  redis.disconnect()
  const book = await school.database.client.db('strata').collection('processes').findOne()
  const all: readonly Registered[] = book?.['processes'] ?? []
  const own = all.filter(({ kind = '' }) => kind.startsWith(`${school.env['REDIS_PREFIX']}/`))
  const told = ({ kind = '', connections, processesMax }: Registered) =>
    `${kind.slice(kind.indexOf('/') + 1)} ${connections} x ${processesMax}`
  return { inRedis: entries.map(text => told(JSON.parse(text))).sort(), inMongo: own.map(told).sort() }
}

describe('the guide to many processes', () => {
  test('counts what processes register', async () => {
    expect(await registered()).toEqual({
      inMongo: [`api ${mongo({})} x 2`, `worker ${mongo({})} x 3`],
      inRedis: [
        `api/queues ${sending} x 2`,
        `worker/queues ${sending} x 3`,
        // A queue for each of its jobs; the two ways to end an enrolment share one.
        `worker/worker ${serving({ Q: 5 })} x 3`,
      ],
    })
  })

  test('has examples that its formulas give', () => {
    const text = guide('many-processes.md')
    const forMongo = tableOf(text, 'D | P')
    for (const [D, P, S, C, each, processes, all] of forMongo.map(row => row.map(Number))) {
      expect([each, all]).toEqual([mongo({ D, P, S, C }), mongo({ D, P, S, C }) * (processes ?? 0)])
    }
    const forRedis = tableOf(text, 'Q | D')
    for (const [Q, D, s, each, processes, all] of forRedis.map(row => row.map(Number))) {
      const both = serving({ Q, D, s }) + sending
      expect([each, all]).toEqual([both, both * (processes ?? 0)])
    }
    expect([forMongo.length, forRedis.length]).toEqual([4, 4])
  })
})

describe('processes that do not fit', () => {
  test.for([
    ['api', 'API_PROCESSES'],
    ['worker', 'WORKERS'],
  ] as const)('the first %s is refused by the number in %s, in one line', async ([app, variable]) => {
    await using school = await startSchool({ workers: 0 })
    const env = { ...school.env, [variable]: '90000', REDIS_PREFIX: `${school.env['REDIS_PREFIX']}_more` }
    await using refused = await spawnNode(main(app), { env: { ...env, LOG_LEVEL: 'silent' } })
    expect(await refused.exited).toEqual({ code: 1, signal: null })
    expect(refused.stderr().trim()).toMatch(/^CONNECTION_BUDGET: 90000 processes of kind \S+ are declared, [^\n]*$/)
  })

  test('a process with other levels than those that run is refused, as in a rolling deploy that changes them', async () => {
    await using school = await startSchool()
    const env = { ...school.env, LEVELS_MAX: '3', LOG_LEVEL: 'silent' }
    await using other = await spawnNode(main('worker'), { env })
    expect(await other.exited).toEqual({ code: 2, signal: null })
    expect(other.stderr().trim()).toMatch(
      /^CONFIG: Processes disagree: this one has levels\.max 3, [^\n]*levels\.max 4/,
    )
    expect((await school.request('PUT', `/students/${await school.student()}/name`, { name: 'Grace' })).status).toBe(
      200,
    )
  })
})

describe('the guide to Kubernetes', () => {
  const manifest = /```yaml\n([^`]*)```/.exec(guide('kubernetes.md'))?.[1] ?? ''
  const [api = '', worker = ''] = manifest.split('\n---\n')
  const envOf = (text: string) =>
    Object.fromEntries(
      [...text.matchAll(/\{ name: ([A-Z_]+), value: "([^"]*)" \}/g)].map(([, name, value]) => [name, value]),
    )
  const numberOf = (text: string, key: string) => Number(new RegExp(`${key}: (\\d+)`).exec(text)?.[1])
  const urls = { MONGO_URL: 'mongodb://mongo/school?replicaSet=rs0', REDIS_URL: 'redis://redis' }

  test('sets what the processes read, and the same levels for all', () => {
    const apiConfig = readConfig({ ...urls, ...envOf(api) })
    const workerConfig = readWorkerConfig({ ...urls, ...envOf(worker) })
    expect(apiConfig.levelsMax).toBe(workerConfig.levelsMax)
    // Replicas, and the extra ones of a rolling deploy.
    const declared = (text: string) => numberOf(text, 'replicas') + numberOf(text, 'maxSurge')
    expect([apiConfig.processes?.max, workerConfig.processes?.max]).toEqual([declared(api), declared(worker)])
    expect([apiConfig.port, workerConfig.metrics.port]).toEqual(
      [api, worker].map(text => numberOf(text, 'containerPort')),
    )
    expect([apiConfig.host, workerConfig.metrics.host]).toEqual(['0.0.0.0', '0.0.0.0'])
  })

  test('grants more time for a stop than the processes take', () => {
    const requestsStopMs = readConfig({ ...urls, ...envOf(api) }).requestsStopMs
    const { jobsStopMs } = readWorkerConfig({ ...urls, ...envOf(worker) })
    const graceMs = (text: string) => 1000 * numberOf(text, 'terminationGracePeriodSeconds')
    const preStopMs = 1000 * numberOf(api, 'sleep: \\{ seconds')
    expect(graceMs(api)).toBeGreaterThanOrEqual(preStopMs + requestsStopMs + 10_000)
    expect(graceMs(worker)).toBeGreaterThanOrEqual(jobsStopMs + 10_000)
  })
})
