import { describe, expect, it } from 'vitest'
import { readSettings, recordsFilledBy } from './settings.ts'

describe('the settings of a soak', () => {
  it('are ten minutes at 300 calls a second unless the environment says otherwise', () => {
    expect(readSettings({}, 1)).toMatchObject({ rate: 300, spanMs: 600_000 })
    const env = { STRATA_SOAK_RATE: '40', STRATA_SOAK_SECONDS: '60' }
    expect(readSettings(env, 1)).toMatchObject({ rate: 40, spanMs: 60_000 })
  })

  it.each(['0', '2.5', 'fast'])('refuse a rate of %s by name', rate => {
    expect(() => readSettings({ STRATA_SOAK_RATE: rate }, 1)).toThrow(
      /STRATA_SOAK_RATE is ".+", expected a whole number/,
    )
  })

  it('keep no more records than the warm-up fills, nor than the queue keeps by default', () => {
    expect(recordsFilledBy(300, 90_000)).toBe(10_000)
    expect(recordsFilledBy(20, 4000)).toBe(40)
  })
})
