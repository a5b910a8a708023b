import { expect, test } from 'vitest'
import { countKinds, Tally } from './tally.ts'

test('rounds are added up by row, and printed in the order that is asked for', () => {
  const tally = new Tally()
  tally.add('two', { rounds: 1, lost: 0 })
  for (const lost of [1, 2]) tally.add('one', { rounds: 1, lost })
  expect(tally.print(['one', 'none', 'two']).split('\n')).toEqual([
    '| fault | rounds | lost |',
    '| --- | --- | --- |',
    '| `one` | 2 | 3 |',
    '| `two` | 1 | 0 |',
  ])
})

test('every kind is counted, also where there is none', () => {
  expect(countKinds(['lost', 'held'], [{ kind: 'held' }, { kind: 'held' }])).toEqual({ lost: 0, held: 2 })
})
