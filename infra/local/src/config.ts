import { pathToFileURL } from 'node:url'

type Env = Readonly<Record<string, string | undefined>>

/** What the local start reads itself; everything else goes to the apps as it is. */
export interface LocalConfig {
  readonly host: string
  readonly port: number
  readonly workers: number
  /** Where the first worker serves its probes and measurements; the others on the ports after it. 0: each on a free one. */
  readonly metricsPort: number | undefined
}

/** Exit code 2, like the apps' own. */
export class SettingInvalid extends Error {
  readonly code = 'SETTING_INVALID'
}

const WORKERS_MAX = 64
const PORT_MAX = 65_535
/** Stand for the servers that are yet to be started. */
const SERVERS = { MONGO_URL: 'mongodb://127.0.0.1:27017', REDIS_URL: 'redis://127.0.0.1:6379' }

/**
 * Reads this start's settings, and has the apps' own readers judge theirs before servers are started for them.
 * @param readers the files that export the apps' `readConfig`. Theirs, so that what is accepted here is what they accept.
 * @throws SETTING_INVALID naming the variable, what was got and what is expected.
 */
export async function readConfig(env: Env, readers: readonly string[]): Promise<LocalConfig> {
  const { WORKERS = '1', MONGO_URL, REDIS_URL } = env
  const workers = /^\d{1,3}$/.test(WORKERS) ? Number(WORKERS) : 0
  if (workers < 1 || workers > WORKERS_MAX) {
    const expected = `a whole number of worker processes from 1 to ${WORKERS_MAX}`
    throw new SettingInvalid(`WORKERS is ${JSON.stringify(WORKERS)}, expected ${expected}`)
  }
  const urls = { MONGO_URL: MONGO_URL || SERVERS.MONGO_URL, REDIS_URL: REDIS_URL || SERVERS.REDIS_URL }
  for (const file of readers) {
    const reader = (await import(pathToFileURL(file).href)) as { readConfig: (env: Env) => unknown }
    reader.readConfig({ ...env, ...urls })
  }
  const { HOST = '127.0.0.1', PORT = '3000', METRICS_PORT } = env
  const metricsPort = METRICS_PORT === undefined ? undefined : Number(METRICS_PORT)
  const last = (metricsPort ?? 0) + workers - 1
  if (last > PORT_MAX) {
    const expected = `at most ${PORT_MAX - workers + 1}: ${workers} workers take a port each from it on`
    throw new SettingInvalid(`METRICS_PORT is ${JSON.stringify(METRICS_PORT)}, expected ${expected}`)
  }
  return { host: HOST, port: Number(PORT), workers, metricsPort }
}

/** The environment of worker process number n, from 1: each has a port of its own. */
export function workerEnv(env: Env, { metricsPort, workers }: LocalConfig, n: number): Env {
  const own = metricsPort ? { METRICS_PORT: String(metricsPort + n - 1) } : {}
  return { ...env, WORKERS: String(workers), ...own }
}
