import { setTimeout as pause } from 'node:timers/promises'
import { type Servers, startServers } from '@strata/testkit'
import { refuseUnusableAddress, untilHealthy } from './address.ts'
import { type AppProcess, EndedEarly, type ProcessEnd, startApp } from './app-process.ts'
import { readConfig, workerEnv } from './config.ts'
import { failureOf } from './failure.ts'
import { watchServers } from './server-loss.ts'
import { Workers } from './workers.ts'

const READY_LIMIT_MS = 30_000
// Together below the 15 s in which Ctrl-C has to be through; a server takes up to 6 s of its own.
const API_STOP_LIMIT_MS = 4900
const WORKERS_STOP_LIMIT_MS = 4000
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
  /** The files that export the apps' `readConfig`. */
  readonly configs: readonly string[]
  /** Where the servers keep data and ports from one start to the next. */
  readonly dataDir: string
}

/** Everything that runs, in the order in which it was started. */
interface Running {
  readonly plan: LocalPlan
  servers?: Servers
  api?: AppProcess
  workers?: Workers
  /** Rejects when a part that the others need is lost. */
  readonly lost: PromiseWithResolvers<never>
}

async function startAll(running: Running): Promise<void> {
  const { plan, lost } = running
  const config = await readConfig(process.env, plan.configs)
  await refuseUnusableAddress(config)
  const servers = await startServers({ dataDir: plan.dataDir })
  running.servers = servers
  watchServers(servers, lost.reject)
  stopping.signal.throwIfAborted()
  const env = { MONGO_URL: servers.mongoUrl, REDIS_URL: servers.redisUrl }
  const api = startApp('API process', plan.api, env)
  running.api = api
  void api.ended.then(end => lost.reject(new EndedEarly(end)))
  const { url } = await api.message('listening', READY_LIMIT_MS)
  stopping.signal.throwIfAborted()
  const begin = (n: number) => startApp(`worker process ${n}`, plan.worker, workerEnv(env, config, n))
  running.workers = new Workers({ begin, readyLimitMs: READY_LIMIT_MS, say, fail: lost.reject })
  await running.workers.start(config.workers)
  await untilHealthy(String(url), READY_LIMIT_MS)
  process.stdout.write(`${welcome(String(url), servers).join('\n')}\n`)
}

/** The first line is what programs wait for. URLs given from outside are left out: they may hold a password. */
function welcome(url: string, { mongo, redis }: Servers): string[] {
  const started = [
    { label: 'MongoDB', server: mongo },
    { label: 'Redis', server: redis },
  ].filter(({ server }) => server.rung !== 'url')
  return [
    `ready ${url}`,
    `try: curl -s -X POST ${url}/students -H 'content-type: application/json' -d '{"name":"Ada"}'`,
    `docs: ${url}/docs`,
    ...started.map(({ label, server }) => `${label}: ${server.url}`),
  ]
}

/**
 * API first, so that what it has admitted is still served; then the workers, then what both use.
 * Resolves with the processes that did not end in order.
 */
async function stopAll({ api, workers, servers }: Running): Promise<ProcessEnd[]> {
  const apiEnds = api === undefined ? [] : [await api.stop(API_STOP_LIMIT_MS)]
  const workerEnds = (await workers?.stop(WORKERS_STOP_LIMIT_MS)) ?? []
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
  const started = startAll(running)
  const settled = started.catch(() => {})
  const lost = running.lost.promise
  if ((await Promise.race([started, stopRequested, lost])) === 'stop') {
    // Servers on their way up are better stopped than cut off, but a download is not waited for.
    if (running.servers === undefined) await Promise.race([settled, pause(SERVERS_START_LEFT_MS)])
    return stopInOrder(running)
  }
  await Promise.race([stopRequested, lost])
  return stopInOrder(running)
}

/**
 * Checks all settings, starts servers, then the API process, then the worker processes, says `ready URL` on stdout, and runs
 * until a signal or the loss of this process's parent stops all of it in order, within 15 s. A worker that dies is started
 * again, at most 5 times in any minute; the loss of anything else stops all.
 * Resolves with the exit code: 0 after an orderly stop, 2 for a wrong setting, 1 otherwise. What was started has ended
 * then; after a SIGKILL of this process it ends by itself, within 10 s.
 */
export async function runLocal(plan: LocalPlan): Promise<number> {
  const running: Running = { plan, lost: Promise.withResolvers<never>() }
  running.lost.promise.catch(() => {})
  try {
    return await runUntilStopped(running)
  } catch (error) {
    // A start that is still under way goes no further.
    stopping.abort()
    const { code, line } = failureOf(error, plan)
    if (line !== undefined) say(line)
    await stopAll(running)
    return code
  }
}
