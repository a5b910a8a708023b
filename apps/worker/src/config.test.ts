import { describe, expect, test } from 'vitest'
import { readConfig } from './config.ts'

const urls = { MONGO_URL: 'mongodb://127.0.0.1/school', REDIS_URL: 'redis://127.0.0.1' }

describe('the configuration of the worker process', () => {
  test('needs nothing but the URLs', () => {
    expect(readConfig(urls)).toMatchObject({ laneSlots: 10, poolMax: 10, levelsMax: 4, isolation: 'levels' })
  })

  test.for([
    ...['POOL_MAX', 'POOL_TIMEOUT_MS', 'LANE_SLOTS', 'LEVELS_MAX', 'ISOLATION', 'CALL_TIMEOUT_MS', 'LOG_LEVEL'],
    ...['MONGO_URL', 'REDIS_URL', 'WORKERS', 'METRICS_PORT', 'JOBS_STOP_MS'],
  ])('judges %s at start', name => {
    const read = () => readConfig({ ...urls, [name]: 'wrong' })
    expect(read).toThrowError(expect.objectContaining({ code: 'SETTING_INVALID' }))
    expect(read).toThrowError(`${name} is "wrong", expected`)
  })
})
