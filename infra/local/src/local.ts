import { setTimeout as pause } from 'node:timers/promises'
import { type Servers, startServers } from '@strata/testkit'
import { refuseTakenPort, untilHealthy } from './address.ts'
import { type AppProcess, EndedEarly, type ProcessEnd, startApp } from './app-process.ts'
import { type LocalConfig, readConfig, SettingInvalid } from './config.ts'

const READY_LIMIT_MS = 30_000
// Together below the 15 s in which Ctrl-C has to be through; a server takes up to 6 s of its own.
const API_STOP_LIMIT_MS = 5000
const WORKERS_STOP_LIMIT_MS = 3500
const SERVERS_START_LEFT_MS = 8000

const say = (line: string) => process.stderr.write(`${line}\n`)

/** Aborted when somebody asks this process to end: by a signal, or by the loss of the process that started it. */
const stopping = new AbortController()
const stopRequested = new Promise<'stop'>(resolve => {
  stopping.signal.addEventListener('abort', () => resolve('stop'))
})
for (const why of ['SIGINT', 'SIGTERM', 'SIGHUP', 'disconnect'] as const) process.on(why, () => stopping.abort())

/** What to start, as paths. */
export interface LocalPlan {
  readonly api: string
  readonly worker: string
  /** Where the servers keep data and ports from one start to the next. */
  readonly dataDir: string
}

/** Everything that runs, in the order in which it was started. */
interface Running {
  readonly plan: LocalPlan
  servers?: Servers
  api?: AppProcess
  readonly workers: AppProcess[]
}

/** Starts one after the other, so that a wrong setting is told once, by the first process that reads it. */
async function startAll(config: LocalConfig, running: Running): Promise<void> {
  await refuseTakenPort(config)
  running.servers = await startServers({ dataDir: running.plan.dataDir })
  stopping.signal.throwIfAborted()
  const env = { MONGO_URL: running.servers.mongoUrl, REDIS_URL: running.servers.redisUrl }
  running.api = startApp('API process', running.plan.api, env)
  const { url } = await running.api.message('listening', READY_LIMIT_MS)
  stopping.signal.throwIfAborted()
  for (let n = 1; n <= config.workers; n += 1) {
    running.workers.push(startApp(`worker process ${n}`, running.plan.worker, env))
  }
  await Promise.all(running.workers.map(worker => worker.message('ready', READY_LIMIT_MS)))
  await untilHealthy(String(url), READY_LIMIT_MS)
  process.stdout.write(`ready ${url}\n`)
  process.stdout.write(`try: curl -s -X POST ${url}/students -H 'content-type: application/json' -d '{"name":"Ada"}'\n`)
}

/**
 * API first, so that what it has admitted is still served; then the workers, then what both use.
 * Resolves with the processes that did not end in order.
 */
async function stopAll({ api, workers, servers }: Running): Promise<ProcessEnd[]> {
  const apiEnds = api === undefined ? [] : [await api.stop(API_STOP_LIMIT_MS)]
  const workerEnds = await Promise.all(workers.map(worker => worker.stop(WORKERS_STOP_LIMIT_MS)))
  await servers?.stop()
  return [...apiEnds, ...workerEnds].filter(end => end.code !== 0)
}

async function stopInOrder(running: Running): Promise<number> {
  say('Stopping')
  const disorderly = await stopAll(running)
  for (const { name, signal, code } of disorderly)
    say(`The ${name} did not stop in order (${signal ?? `exit ${code}`})`)
  return disorderly.length === 0 ? 0 : 1
}

/** Resolves with the exit code, after everything that was started has ended. */
async function runUntilStopped(running: Running): Promise<number> {
  const started = startAll(readConfig(process.env), running)
  if ((await Promise.race([started, stopRequested])) === 'stop') {
    // Servers on their way up are better stopped than cut off, but a download is not waited for.
    const settled = started.catch(() => {})
    if (running.servers === undefined) await Promise.race([settled, pause(SERVERS_START_LEFT_MS)])
    return stopInOrder(running)
  }
  const apps = running.api === undefined ? running.workers : [running.api, ...running.workers]
  const end = await Promise.race([stopRequested, ...apps.map(app => app.ended)])
  if (end !== 'stop') throw new EndedEarly(end)
  return stopInOrder(running)
}

/**
 * Starts servers, then the API process, then the worker processes, says `ready URL` on stdout, and runs until a signal
 * or the loss of this process's parent stops all of it in order, within 15 s.
 * Resolves with the exit code: 0 after an orderly stop, 2 for a wrong setting, 1 otherwise. What was started has ended
 * then; after a SIGKILL of this process it ends by itself, within 10 s.
 */
export async function runLocal(plan: LocalPlan): Promise<number> {
  const running: Running = { plan, workers: [] }
  try {
    return await runUntilStopped(running)
  } catch (error) {
    const wrongSetting = error instanceof EndedEarly ? error.end.code === 2 : error instanceof SettingInvalid
    // An app that refuses a setting has said so itself, in one line.
    if (!(wrongSetting && error instanceof EndedEarly)) say(error instanceof Error ? error.message : String(error))
    await stopAll(running)
    return wrongSetting ? 2 : 1
  }
}
