import { expect, test } from 'vitest'
import { withDefaults } from './arguments.ts'

test("a caller's argument replaces ours of the same name, in either notation", () => {
  const ours = { '--port': '1', '--quiet': true, '--save': '' } as const
  expect(withDefaults(ours, [])).toEqual(['--port', '1', '--quiet', '--save', ''])
  expect(withDefaults(ours, ['--port', '2', '--more'])).toEqual(['--quiet', '--save', '', '--port', '2', '--more'])
  expect(withDefaults(ours, ['--port=2'])).toEqual(['--quiet', '--save', '', '--port=2'])
})

test('an argument that may come several times is added, not replaced', () => {
  const ours = { '--set': ['a=1', 'b=2'] }
  expect(withDefaults(ours, ['--set', 'c=3'])).toEqual(['--set', 'a=1', '--set', 'b=2', '--set', 'c=3'])
})
