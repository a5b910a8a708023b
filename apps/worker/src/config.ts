import { port, readSettings, settings } from '@strata/school'

/** Everything that the worker process reads from its environment. @throws SETTING_INVALID */
export function readConfig(env: NodeJS.ProcessEnv) {
  const read = readSettings(
    {
      MONGO_URL: settings.MONGO_URL,
      REDIS_URL: settings.REDIS_URL,
      REDIS_PREFIX: settings.REDIS_PREFIX,
      POOL_MAX: settings.POOL_MAX,
      POOL_TIMEOUT_MS: settings.POOL_TIMEOUT_MS,
      LANE_SLOTS: settings.LANE_SLOTS,
      LEVELS_MAX: settings.LEVELS_MAX,
      ISOLATION: settings.ISOLATION,
      CALL_TIMEOUT_MS: settings.CALL_TIMEOUT_MS,
      WORKERS: settings.PROCESSES,
      LOG_LEVEL: settings.LOG_LEVEL,
      JOBS_STOP_MS: settings.STOP_AFTER_MS,
      HOST: settings.HOST,
      METRICS_PORT: port().optional(),
    },
    env,
  )
  return {
    mongoUrl: read.MONGO_URL,
    redis: { url: read.REDIS_URL, prefix: read.REDIS_PREFIX },
    poolMax: read.POOL_MAX,
    poolTimeoutMs: read.POOL_TIMEOUT_MS,
    laneSlots: read.LANE_SLOTS,
    levelsMax: read.LEVELS_MAX,
    isolation: read.ISOLATION,
    callTimeoutMs: read.CALL_TIMEOUT_MS,
    // Together with those of other schools, which have other prefixes.
    processes: read.WORKERS === undefined ? undefined : { kind: `${read.REDIS_PREFIX}/worker`, max: read.WORKERS },
    logLevel: read.LOG_LEVEL,
    jobsStopMs: read.JOBS_STOP_MS,
    metrics: { host: read.HOST, port: read.METRICS_PORT },
  }
}

export type Config = ReturnType<typeof readConfig>
