import { describe, expect, test } from 'vitest'
import { centsField, idField, nameField } from './fields.ts'

describe('centsField', () => {
  test.for([0, 1, Number.MAX_SAFE_INTEGER])('takes %d', cents => {
    expect(centsField.safeParse(cents).success).toBe(true)
  })
  test.for([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, '1', null, undefined])('refuses %s', cents => {
    expect(centsField.safeParse(cents).success).toBe(false)
  })
})

describe('nameField', () => {
  test('is trimmed', () => expect(nameField.parse('  Ada ')).toBe('Ada'))
  test.for([
    ['an empty name', ''],
    ['blanks', '   '],
    ['201 characters', 'a'.repeat(201)],
    ['half a character', '\ud800'],
    ['a number', 7],
  ] as const)('refuses %s', ([, name]) => {
    expect(nameField.safeParse(name).success).toBe(false)
  })
})

test('an id has 1 to 128 characters', () => {
  expect(['', 'a', 'a'.repeat(128), 'a'.repeat(129)].map(id => idField.safeParse(id).success)).toEqual([
    false,
    true,
    true,
    false,
  ])
})
