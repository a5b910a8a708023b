import { seeded } from '@strata/testkit'
import { afterAll, expect, inject, test } from 'vitest'
import { readSelection } from '../chaos/selection.ts'
import { everyFault } from '../every-fault.ts'
import { Tally } from '../tally.ts'
import { findBreaches, printBreaches } from './checker.ts'
import { inboxFaults } from './faults.ts'
import { figuresOf } from './figures.ts'
import { playKill } from './kill-round.ts'

const { faults, seeds, isWhole } = readSelection(process.env, inboxFaults, everyFault)

const roundMsMax = 1_800_000

const tally = new Tally()

afterAll(() => {
  process.stdout.write(`${tally.print(faults.map(({ name }) => name))}\n`)
})

const place = () => ({ mongo: inject('mongoUrl'), redis: inject('redisUrl'), isWhole })

const rounds = seeds.flatMap(({ value }) => faults.map(fault => [fault.name, value, fault] as const))

if (rounds.length === 0) test.skip('the fault that was named is another suite’s')

test.concurrent.each(rounds)(
  '%s, seed %i',
  async (name, value, fault) => {
    const history = await playKill({ fault, seed: seeded(value), ...place() })
    const breaches = findBreaches(history)
    tally.add(name, figuresOf(history, breaches))
    expect(printBreaches(breaches)).toEqual([])
  },
  roundMsMax,
)

const doubling = faults.filter(({ name }) => name === 'inbox-committed')

test.concurrent.each(doubling.map(fault => [fault.name, fault] as const))(
  'without an inbox, messages have their effect more than once in %s',
  async (_, fault) => {
    const seed = seeded(seeds[0]?.value ?? 0)
    const history = await playKill({ fault, seed, ...place(), guarded: false })
    const kinds = new Set(findBreaches(history).map(({ kind }) => kind))
    expect(kinds).toContain('doubled')
    expect(kinds).not.toContain('lost')
  },
  roundMsMax,
)
