import { expect, test } from 'vitest'
import { everyFault } from '../every-fault.ts'
import { inboxFaults } from '../inbox/faults.ts'
import { outboxFaults } from '../outbox/faults.ts'
import { transactionFaults } from '../transactions/faults.ts'
import { faults } from './faults.ts'
import { readSelection } from './selection.ts'

test('without words it is every fault once, with a drawn seed: the short form', () => {
  const { faults: chosen, seeds, isWhole } = readSelection({}, faults, everyFault)
  expect(chosen).toEqual(faults)
  expect(seeds).toHaveLength(1)
  expect(isWhole).toBe(false)
})

test('a fault, a number of seeds and the first of them can be named', () => {
  const env = { STRATA_FAULT: 'reply-lost', STRATA_SEEDS: '3', STRATA_SEED: '7' }
  const { faults: chosen, seeds, isWhole } = readSelection(env, faults, everyFault)
  expect(chosen.map(({ name }) => name)).toEqual(['reply-lost'])
  expect(seeds.map(({ value }) => value)).toEqual([7, 8, 9])
  expect(isWhole).toBe(true)
})

test('a fault that does not exist is told with those that do', () => {
  const read = () => readSelection({ STRATA_FAULT: 'reply-eaten' }, faults, everyFault)
  expect(read).toThrow('There is no fault "reply-eaten"')
  for (const { name } of [...faults, ...transactionFaults]) expect(read).toThrow(name)
})

test('a fault of the other suite is none of this one', () => {
  const env = { STRATA_FAULT: 'commit-reply-cut' }
  expect(readSelection(env, faults, everyFault).faults).toEqual([])
  expect(readSelection(env, transactionFaults, everyFault).faults).toHaveLength(1)
})

test.each(['0', '1.5', 'many', '1001'])('%s seeds are refused', STRATA_SEEDS => {
  expect(() => readSelection({ STRATA_SEEDS }, faults, everyFault)).toThrow(`The number of seeds is "${STRATA_SEEDS}"`)
})

test('no two faults share a name', () => {
  const all = [...faults, ...transactionFaults, ...outboxFaults, ...inboxFaults]
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length)
})
