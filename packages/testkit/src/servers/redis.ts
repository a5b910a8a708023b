import { join } from 'node:path'
import { Redis } from 'ioredis'
import { TestkitError } from '../errors.ts'
import { until } from '../until.ts'
import { withDefaults } from './arguments.ts'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import { diagnose, PortTaken } from './log-diagnosis.ts'
import { choosePort, LOOPBACK } from './port.ts'
import { type RunningProgram, runProgram } from './program.ts'
import type { Order, Program, RunningServer } from './server-kind.ts'

const START_DEADLINE_MS = 30_000
const STOP_GRACE_MS = 5000
const PORT_TRIES = 3

/** Starts a Redis (or Valkey) that never drops a queue's keys and keeps what it has confirmed for over a second. */
export async function launchRedis(program: Program, order: Order): Promise<RunningServer> {
  const folder = await openDataFolder(order.dataDir, 'redis')
  try {
    return await launchIn(folder, program, order)
  } catch (error) {
    folder.close()
    throw error
  }
}

async function launchIn(folder: DataFolder, program: Program, order: Order): Promise<RunningServer> {
  let port = 0
  let running: RunningProgram | undefined
  for (let attempt = 1; running === undefined; attempt++) {
    port = await choosePort(attempt === 1 ? folder.last.ports[0] : undefined)
    running = await tryStart(folder, program, { port, args: order.args, last: attempt === PORT_TRIES })
  }
  let current = running
  folder.save({ ports: [port], processes: [current.identity] })
  const member = {
    get pid() {
      return current.identity.pid
    },
    port,
    kill: (signal: NodeJS.Signals = 'SIGKILL') => current.kill(signal),
    restart: async () => {
      await current.stop()
      current = await startOnce(folder, program, { port, args: order.args })
      folder.save({ ports: [port], processes: [current.identity] })
    },
  }
  return {
    url: `redis://${LOOPBACK}:${port}`,
    version: program.version,
    place: program.file,
    members: [member],
    kill: async (signal = 'SIGKILL') => {
      current.kill(signal)
      if (signal === 'SIGKILL') await current.exited
    },
    stop: async () => {
      await current.stop()
      folder.close()
    },
  }
}

interface Start {
  readonly port: number
  readonly args: readonly string[]
}

async function tryStart(folder: DataFolder, program: Program, start: Start & { last: boolean }) {
  try {
    return await startOnce(folder, program, start)
  } catch (error) {
    if (error instanceof PortTaken && !start.last) return undefined
    throw error
  }
}

async function startOnce(folder: DataFolder, program: Program, { port, args }: Start): Promise<RunningProgram> {
  const defaults = {
    '--port': String(port),
    '--bind': LOOPBACK,
    '--dir': folder.path,
    '--maxmemory-policy': 'noeviction',
    '--appendonly': 'yes',
    '--appendfsync': 'everysec',
    '--save': '',
  }
  const running = await runProgram({
    file: program.file,
    args: withDefaults(defaults, args),
    cwd: folder.path,
    logFile: join(folder.path, 'redis.log'),
    graceMs: folder.temporary ? 0 : STOP_GRACE_MS,
  })
  try {
    await waitReady(port, running)
    return running
  } catch (error) {
    const failed = running.hasExited()
    await running.stop()
    throw failed ? diagnose(running.logTail(), folder.path, program.file) : error
  }
}

async function waitReady(port: number, running: RunningProgram): Promise<void> {
  const client = new Redis({
    host: LOOPBACK,
    port,
    lazyConnect: true,
    retryStrategy: () => 50,
    maxRetriesPerRequest: 0,
  })
  client.on('error', () => {})
  client.connect().catch(() => {})
  try {
    const answers = async (): Promise<boolean> => running.hasExited() || (await client.ping()) === 'PONG'
    await until(answers, { deadlineMs: START_DEADLINE_MS, message: `Redis to answer on port ${port}` })
    if (running.hasExited()) throw new Error('Redis ended while starting')
  } finally {
    client.disconnect()
  }
}

/** Reaches a given Redis within 5 s and says its version. @throws SERVERS_URL_UNREACHABLE */
export async function checkRedisUrl(url: string): Promise<{ version: string }> {
  const client = new Redis(url, {
    lazyConnect: true,
    // One after the other (connect, AUTH, INFO at worst) they have to end within 5 s.
    connectTimeout: 2000,
    commandTimeout: 1400,
    disconnectTimeout: 100,
    retryStrategy: () => null,
  })
  let reason: unknown
  client.on('error', error => {
    reason = error
  })
  try {
    await client.connect()
    const info = await client.info('server')
    return { version: /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown' }
  } catch (error) {
    const said = reason instanceof Error ? reason.message : String(error)
    const text = `REDIS_URL ${withoutPassword(url)} does not answer: ${said}; check that the server runs, the host, port and password are right and no firewall is between`
    throw new TestkitError('SERVERS_URL_UNREACHABLE', text, { cause: error })
  } finally {
    client.disconnect()
  }
}

/** A URL as it may be shown: its password is nobody's business. */
export function withoutPassword(url: string): string {
  return url.replace(/(\/\/[^:/@]*):[^@/]*@/, '$1:***@')
}
