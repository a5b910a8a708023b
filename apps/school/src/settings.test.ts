import { hasCode } from '@strata/db-context'
import { describe, expect, test } from 'vitest'
import { port, readSettings, settings } from './settings.ts'

const refusal = (read: () => unknown): string => {
  try {
    read()
  } catch (error) {
    if (hasCode(error, 'SETTING_INVALID')) return error.message
    throw error
  }
  return 'accepted'
}

describe('readSettings', () => {
  test('gives what is absent its default', () => {
    const { POOL_MAX, ISOLATION, LOG_LEVEL } = settings
    expect(readSettings({ PORT: port().default(3000), POOL_MAX, ISOLATION, LOG_LEVEL }, {})).toEqual({
      PORT: 3000,
      POOL_MAX: 10,
      ISOLATION: 'levels',
      LOG_LEVEL: 'info',
    })
  })

  test.for([
    ['POOL_MAX', '0', 'a whole number of connections from 1 to 1000'],
    ['POOL_MAX', '1.5', 'a whole number of connections from 1 to 1000'],
    ['POOL_MAX', '-1', 'a whole number of connections from 1 to 1000'],
    ['POOL_MAX', 'many', 'a whole number of connections from 1 to 1000'],
    ['POOL_MAX', '', 'a whole number of connections from 1 to 1000'],
    ['POOL_MAX', '0x10', 'a whole number of connections from 1 to 1000'],
    ['POOL_TIMEOUT_MS', '1e3', 'a whole number of milliseconds from 1 to 600000'],
    ['LANE_SLOTS', '1001', 'a whole number of jobs from 1 to 1000'],
    ['LEVELS_MAX', '65', 'a whole number from 1 to 64'],
    ['ISOLATION', 'some', 'one of levels, none'],
    ['ADMISSION_MAX', '0', 'a whole number of requests from 1 to 1000000'],
    ['CALL_TIMEOUT_MS', '50001', 'a whole number of milliseconds from 1 to 50000'],
    ['LOG_LEVEL', 'loud', 'one of trace, debug, info, warn, error, fatal, silent'],
    ['REDIS_PREFIX', 'a:b', '1 to 64 letters, digits, _ or -'],
    ['HOST', '', 'an address to listen on'],
  ] as const)('%s=%s is refused with what is expected', ([name, value, expected]) => {
    const read = () => readSettings({ [name]: settings[name] }, { [name]: value })
    expect(refusal(read)).toBe(`${name} is ${JSON.stringify(value)}, expected ${expected}`)
  })

  test('a port is at most 65535', () => {
    const read = () => readSettings({ PORT: port().default(3000) }, { PORT: '65536' })
    expect(refusal(read)).toBe('PORT is "65536", expected a whole number from 0 to 65535')
  })

  test('a URL that is missing names the way to do without', () => {
    const { MONGO_URL } = settings
    expect(refusal(() => readSettings({ MONGO_URL }, {}))).toMatch(/^MONGO_URL is not set, expected a URL .*npm start/)
  })

  test.for([
    ['MONGO_URL', 'http://127.0.0.1:27017'],
    ['MONGO_URL', 'mongodb://'],
    ['REDIS_URL', '127.0.0.1:6379'],
  ] as const)('%s=%s is refused', ([name, value]) => {
    expect(refusal(() => readSettings({ [name]: settings[name] }, { [name]: value }))).toContain(
      `${name} is "${value}"`,
    )
  })

  test('a password in a URL stays out of the error', () => {
    const { REDIS_URL } = settings
    const text = refusal(() => readSettings({ REDIS_URL }, { REDIS_URL: 'http://user:secret@host' }))
    expect(text).toContain('"http://***@host"')
    expect(text).not.toContain('secret')
  })

  test('every wrong variable is named, not only the first', () => {
    const { POOL_MAX, LANE_SLOTS } = settings
    const text = refusal(() => readSettings({ POOL_MAX, LANE_SLOTS }, { POOL_MAX: 'a', LANE_SLOTS: 'b' }))
    expect(text).toMatch(/POOL_MAX is "a".*; LANE_SLOTS is "b"/)
  })
})
