import { describe, expect, test } from 'vitest'
import { readConfig } from './config.ts'

const urls = { MONGO_URL: 'mongodb://127.0.0.1/school', REDIS_URL: 'redis://127.0.0.1' }

describe('the configuration of the API process', () => {
  test('needs nothing but the URLs', () => {
    expect(readConfig(urls)).toEqual({
      port: 3000,
      host: '127.0.0.1',
      mongoUrl: urls.MONGO_URL,
      redis: { url: urls.REDIS_URL, prefix: 'school' },
      poolMax: 10,
      poolTimeoutMs: 30_000,
      levelsMax: 4,
      isolation: 'levels',
      admissionMax: 1000,
      callTimeoutMs: 30_000,
      processes: undefined,
      requestsStopMs: 1500,
      logLevel: 'info',
    })
  })

  test('declares its processes under the name of its school', () => {
    const read = readConfig({ ...urls, REDIS_PREFIX: 'north', API_PROCESSES: '5' })
    expect(read.processes).toEqual({ kind: 'north/api', max: 5 })
  })

  test.for([
    ...['PORT', 'POOL_MAX', 'POOL_TIMEOUT_MS', 'LEVELS_MAX', 'ISOLATION', 'ADMISSION_MAX', 'CALL_TIMEOUT_MS'],
    ...['LOG_LEVEL', 'MONGO_URL', 'REDIS_URL', 'API_PROCESSES', 'REQUESTS_STOP_MS'],
  ])('judges %s at start', name => {
    const read = () => readConfig({ ...urls, [name]: 'wrong' })
    expect(read).toThrowError(expect.objectContaining({ code: 'SETTING_INVALID' }))
    expect(read).toThrowError(`${name} is "wrong", expected`)
  })
})
