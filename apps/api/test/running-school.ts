import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { type NodeProcess, spawnNode } from '@strata/testkit'
import { type Db, MongoClient } from 'mongodb'
import { inject, type TestContext } from 'vitest'

const source = (path: string) => fileURLToPath(new URL(`../../${path}/src/main.ts`, import.meta.url))
const startMsMax = 30_000

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

/** An API process and its workers on the run's servers, with a database and a key prefix of their own. */
export interface RunningSchool extends AsyncDisposable {
  readonly url: string
  readonly env: NodeJS.ProcessEnv
  readonly api: NodeProcess
  readonly workers: NodeProcess[]
  /** For what HTTP does not show: that nothing was written. */
  readonly database: Db
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>
  startWorker(env?: NodeJS.ProcessEnv): Promise<void>
  student(name?: string): Promise<string>
  /** A student and an account with this balance under the same id. */
  payer(balanceCents: number): Promise<string>
}

/** An API process, by itself. */
export async function startApi(env: NodeJS.ProcessEnv): Promise<{ readonly api: NodeProcess; readonly url: string }> {
  const api = await spawnNode(source('api'), { env, ipc: true })
  const { url } = await api.nextMessage(isListening, startMsMax)
  return { api, url }
}

export async function startSchool(options: { workers?: number; env?: NodeJS.ProcessEnv } = {}): Promise<RunningSchool> {
  const name = `school_${randomUUID().slice(0, 8)}`
  const mongoUrl = new URL(inject('mongoUrl'))
  mongoUrl.pathname = `/${name}`
  const env = {
    PORT: '0',
    MONGO_URL: mongoUrl.href,
    REDIS_URL: inject('redisUrl'),
    REDIS_PREFIX: name,
    ...options.env,
  }
  const client = new MongoClient(mongoUrl.href, { appName: 'school-test' })
  const { api, url } = await startApi(env)
  const workers: NodeProcess[] = []
  const startWorker = async (own: NodeJS.ProcessEnv = {}) => {
    const worker = await spawnNode(source('worker'), { env: { ...env, ...own }, ipc: true })
    workers.push(worker)
    await worker.nextMessage(isReady, startMsMax)
  }
  await Promise.all(Array.from({ length: options.workers ?? 1 }, () => startWorker()))
  const database = client.db(name)
  const request: RunningSchool['request'] = (method, path, body, headers = {}) =>
    send(url, { method, path, body, headers })
  const student = async (studentName = 'Ada') => {
    const { body } = await request('POST', '/students', { name: studentName })
    return String(body['id'])
  }
  return {
    ...{ url, env, api, workers, database, request, startWorker, student },
    payer: async balanceCents => {
      const id = await student()
      await request('POST', '/accounts', { id, balanceCents })
      return id
    },
    [Symbol.asyncDispose]: async () => {
      for (const child of [api, ...workers]) await child[Symbol.asyncDispose]()
      await database.dropDatabase()
      await client.close()
    },
  }
}

/** What clients are not told is in the logs: shows their ends when the test fails. */
export function showLogsOnFailure({ onTestFailed }: TestContext, { api, workers }: RunningSchool): void {
  const end = (text: string) => text.split('\n').slice(-40).join('\n')
  onTestFailed(() => {
    console.error(
      ['API process:', end(api.stderr()), ...workers.map(({ stderr }, n) => `Worker ${n}:\n${end(stderr())}`)].join(
        '\n',
      ),
    )
  })
}

/** Sends a body as it is when it is text, else as JSON. */
export async function send(
  url: string,
  what: { method: string; path: string; body: unknown; headers: Record<string, string> },
): Promise<Answer> {
  const { method, path, body } = what
  const init = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }
  const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...what.headers }
  const response = await fetch(`${url}${path}`, { method, headers, ...init })
  const text = await response.text()
  const isJson = response.headers.get('content-type')?.includes('json') === true
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : { text } }
}

const hasType = (message: unknown, type: string): message is { type: string } =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === type

const isListening = (message: unknown): message is { type: string; url: string } => hasType(message, 'listening')
const isReady = (message: unknown): message is { type: string } => hasType(message, 'ready')
