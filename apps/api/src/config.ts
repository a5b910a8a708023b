import { port, readSettings, settings } from '@strata/school'

const portDefault = 3000

/** Everything that the API process reads from its environment. @throws SETTING_INVALID */
export function readConfig(env: NodeJS.ProcessEnv) {
  const read = readSettings(
    {
      PORT: port().default(portDefault),
      HOST: settings.HOST,
      MONGO_URL: settings.MONGO_URL,
      REDIS_URL: settings.REDIS_URL,
      REDIS_PREFIX: settings.REDIS_PREFIX,
      POOL_MAX: settings.POOL_MAX,
      POOL_TIMEOUT_MS: settings.POOL_TIMEOUT_MS,
      LEVELS_MAX: settings.LEVELS_MAX,
      ISOLATION: settings.ISOLATION,
      ADMISSION_MAX: settings.ADMISSION_MAX,
      CALL_TIMEOUT_MS: settings.CALL_TIMEOUT_MS,
      API_PROCESSES: settings.PROCESSES,
      REQUESTS_STOP_MS: settings.STOP_AFTER_MS,
      LOG_LEVEL: settings.LOG_LEVEL,
    },
    env,
  )
  return {
    port: read.PORT,
    host: read.HOST,
    mongoUrl: read.MONGO_URL,
    redis: { url: read.REDIS_URL, prefix: read.REDIS_PREFIX },
    poolMax: read.POOL_MAX,
    poolTimeoutMs: read.POOL_TIMEOUT_MS,
    levelsMax: read.LEVELS_MAX,
    isolation: read.ISOLATION,
    admissionMax: read.ADMISSION_MAX,
    callTimeoutMs: read.CALL_TIMEOUT_MS,
    // Together with those of other schools, which have other prefixes.
    processes:
      read.API_PROCESSES === undefined ? undefined : { kind: `${read.REDIS_PREFIX}/api`, max: read.API_PROCESSES },
    requestsStopMs: read.REQUESTS_STOP_MS,
    logLevel: read.LOG_LEVEL,
  }
}

export type Config = ReturnType<typeof readConfig>
