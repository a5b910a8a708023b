import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDataFolder } from '../data-folder.ts'
import { diagnose, PortTaken } from '../log-diagnosis.ts'
import { choosePort, LOOPBACK } from '../port.ts'
import { runProgram } from '../program.ts'
import { redisReady } from '../redis-ready.ts'
import type { Program } from '../server-kind.ts'

const PORT_TRIES = 3

/** What a sentinel watches. */
export interface Watched {
  readonly name: string
  readonly port: number
  /** How many sentinels have to agree that the master is down. */
  readonly quorum: number
  readonly downAfterMs: number
}

/** A sentinel that runs. */
export interface Sentinel {
  readonly host: string
  readonly port: number
  readonly url: string
  stop(): Promise<void>
}

/** Starts a server program as a sentinel, in a temporary folder: it keeps its own settings file up to date there. */
export async function launchSentinel(program: Program, watched: Watched): Promise<Sentinel> {
  const folder = await openDataFolder(undefined, 'sentinel')
  try {
    for (let attempt = 1; ; attempt++) {
      const started = await tryStart(program, watched, folder.path).catch((error: unknown) => {
        if (error instanceof PortTaken && attempt < PORT_TRIES) return undefined
        throw error
      })
      if (started === undefined) continue
      const stop = async (): Promise<void> => {
        await started.stop()
        folder.close()
      }
      return { ...started, stop }
    }
  } catch (error) {
    folder.close()
    throw error
  }
}

async function tryStart(program: Program, watched: Watched, dir: string): Promise<Sentinel> {
  const port = await choosePort(undefined)
  const file = join(dir, 'sentinel.conf')
  writeFileSync(file, settings(watched, { dir, port }))
  const running = await runProgram({
    file: program.file,
    args: [file, '--sentinel'],
    cwd: dir,
    logFile: join(dir, 'sentinel.log'),
    graceMs: 0,
  })
  try {
    await redisReady(port, () => running.hasExited())
    return { host: LOOPBACK, port, url: `redis://${LOOPBACK}:${port}`, stop: () => running.stop() }
  } catch (error) {
    const hasFailed = running.hasExited()
    await running.stop()
    throw hasFailed ? diagnose(running.logTail(), dir, program.file) : error
  }
}

function settings({ name, port: master, quorum, downAfterMs }: Watched, own: { dir: string; port: number }): string {
  const lines = [
    `port ${own.port}`,
    `bind ${LOOPBACK}`,
    `dir ${own.dir}`,
    `sentinel monitor ${name} ${LOOPBACK} ${master} ${quorum}`,
    `sentinel down-after-milliseconds ${name} ${downAfterMs}`,
    // Also the pause between two failovers of the same master; the default is 3 minutes.
    `sentinel failover-timeout ${name} 3000`,
  ]
  return `${lines.join('\n')}\n`
}
