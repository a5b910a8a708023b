import { join } from 'node:path'
import { withDefaults } from './arguments.ts'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import { diagnose, PortTaken } from './log-diagnosis.ts'
import { choosePort, LOOPBACK } from './port.ts'
import { type RunningProgram, runProgram, untilExited } from './program.ts'
import { redisArguments } from './redis-arguments.ts'
import { redisReady } from './redis-ready.ts'
import type { Order, Program, RunningServer, ServerEnd } from './server-kind.ts'

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
  const exited = Promise.withResolvers<ServerEnd>()
  void current.lost.then(exited.resolve)
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
      void current.lost.then(exited.resolve)
      folder.save({ ports: [port], processes: [current.identity] })
    },
  }
  return {
    url: `redis://${LOOPBACK}:${port}`,
    version: program.version,
    place: program.file,
    members: [member],
    exited: exited.promise,
    kill: async (signal = 'SIGKILL') => {
      current.kill(signal)
      if (signal === 'SIGKILL') await untilExited(current)
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
  const defaults = redisArguments({ dir: folder.path, port, bind: LOOPBACK })
  const running = await runProgram({
    file: program.file,
    args: withDefaults(defaults, args),
    cwd: folder.path,
    logFile: join(folder.path, 'redis.log'),
    graceMs: folder.temporary ? 0 : STOP_GRACE_MS,
  })
  try {
    await redisReady(port, () => running.hasExited())
    return running
  } catch (error) {
    const failed = running.hasExited()
    await running.stop()
    throw failed ? diagnose(running.logTail(), folder.path, program.file) : error
  }
}
