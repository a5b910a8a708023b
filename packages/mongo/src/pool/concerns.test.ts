import { expect, it } from 'vitest'
import { readConcerns } from './concerns.ts'

it('is one snapshot and a majority by default', () => {
  expect(readConcerns()).toEqual({ readConcern: { level: 'snapshot' }, writeConcern: { w: 'majority' } })
})

it('is what was asked for', () => {
  const got = readConcerns({ readConcern: 'majority', writeConcern: { w: 2, journal: true } })
  expect(got).toEqual({ readConcern: { level: 'majority' }, writeConcern: { w: 2, journal: true } })
})

it.each([
  ['readConcern', { readConcern: 'linearizable' }],
  ['writeConcern.w', { writeConcern: { w: 0 } }],
  ['writeConcern.w', { writeConcern: { w: 'dc' } }],
  ['writeConcern.journal', { writeConcern: { journal: 'yes' } }],
  ['writeConcern', { writeConcern: { wtimeoutMS: 5 } }],
])('refuses a %s that it has not', (option, concerns) => {
  const refused = expect.objectContaining({ code: 'CONFIG', details: expect.objectContaining({ option }) })
  expect(() => readConcerns(concerns as object)).toThrow(refused)
})
