import { type Protocol, protocol } from '@strata/consistency/two-phase-commit'
import { seeded } from '@strata/testkit'
import { afterAll, expect, inject, test } from 'vitest'
import { CrewPool } from '../chaos/crew-pool.ts'
import { readSelection } from '../chaos/selection.ts'
import { everyFault } from '../every-fault.ts'
import { Rig } from '../transactions/rig.ts'
import { findBreaches } from './checker.ts'
import { playFailover } from './failover-round.ts'
import { type FailoverFault, failoverFaults, killFaults, lateFault, twoPhaseFaults } from './faults.ts'
import { playKill } from './kill-round.ts'
import { playLate } from './late-round.ts'

const { faults, seeds, isWhole } = readSelection(process.env, twoPhaseFaults, everyFault)
const isChosen = ({ name }: { readonly name: string }) => faults.some(fault => fault.name === name)

const roundMsMax = 300_000
const mongo = inject('mongoUrl')

const rounds = seeds.flatMap(seed => killFaults.filter(isChosen).map(fault => [fault.name, seed.value, fault] as const))
if (rounds.length === 0 && !isChosen(lateFault) && !failoverFaults.some(isChosen))
  test.skip('the fault that was named is another suite’s')

/** In the short form most are cut off where the whole one kills a process: a process takes seconds to start. */
const killed = new Set(['two-phase-apply-after', 'two-phase-commit-after'])

test.concurrent.each(rounds)(
  '%s, seed %i',
  async (name, value, fault) => {
    const as = isWhole || killed.has(name) ? 'process' : 'cut'
    const history = await playKill({ fault, seed: seeded(value), mongo, as })
    expect(findBreaches(history)).toEqual([])
    expect(history.transactions.map(({ state }) => state)).toContain(fault.verb === 'cancel' ? 'canceled' : 'done')
  },
  roundMsMax,
)

/** Servers for one round at a time: a failover is one for all that use them. */
const rigs = new CrewPool(isWhole ? 2 : 1, () => Rig.start(3))
afterAll(() => rigs.stop())

/** The short form has one of them: each takes as long as all the rest. */
const isInShort = ({ how }: FailoverFault) => isWhole || how === 'primary-stepped-down'

const replaced = seeds.flatMap(seed =>
  failoverFaults
    .filter(fault => isChosen(fault) && isInShort(fault))
    .map(fault => [fault.name, seed.value, fault] as const),
)

test.concurrent.each(replaced)(
  '%s, seed %i',
  async (_, value, fault) => {
    const history = await rigs.use(rig => playFailover({ fault, seed: seeded(value), rig }))
    expect(findBreaches(history)).toEqual([])
    expect(history.transactions.map(({ state }) => state)).toContain('done')
  },
  roundMsMax,
)

const late = isChosen(lateFault) ? [[lateFault.name] as const] : []

test.concurrent.each(late)(
  '%s: what comes late changes nothing',
  async () => {
    expect(findBreaches(await playLate({ mongo }))).toEqual([])
  },
  roundMsMax,
)

const { apply } = protocol.steps
const withApply = (change: object): Protocol => ({
  ...protocol,
  steps: { ...protocol.steps, apply: { ...apply, ...change } },
})

test.concurrent.each(late)(
  '%s: without tombstones it is applied, and there is no transaction that it belongs to',
  async () => {
    const history = await playLate({ mongo, protocol: withApply({ refusedByTombstone: false }) })
    expect(new Set(findBreaches(history).map(({ kind }) => kind))).toEqual(new Set(['half', 'entry-left']))
  },
  roundMsMax,
)
