import { type Seed, seeded } from '@strata/testkit'
import { afterAll, expect, inject, test } from 'vitest'
import { CrewPool } from '../chaos/crew-pool.ts'
import { readSelection } from '../chaos/selection.ts'
import { everyFault } from '../every-fault.ts'
import { Tally } from '../tally.ts'
import { Rig } from '../transactions/rig.ts'
import { findBreaches, printBreaches } from './checker.ts'
import { playFailover } from './failover-round.ts'
import { failoverFaults, killFaults, outboxFaults, stormFault } from './faults.ts'
import { figuresOf } from './figures.ts'
import type { OutboxHistory } from './history.ts'
import { playKill } from './kill-round.ts'
import { playStorm } from './storm.ts'

const { faults, seeds, isWhole } = readSelection(process.env, outboxFaults, everyFault)
const isChosen = ({ name }: { readonly name: string }) => faults.some(fault => fault.name === name)

const roundMsMax = 1_800_000

/** The storm takes one seed in either form: its length is what makes it whole. */
const storm = isWhole ? { transactions: 20_000, everyMs: 5000 } : { transactions: 1000, everyMs: 250 }

const tally = new Tally()

/** Servers of MongoDB, for one round at a time: a failover is one for all that use them. */
const rigs = new CrewPool(isWhole ? 2 : 1, () => Rig.start(3))

afterAll(async () => {
  await rigs.stop()
  process.stdout.write(`${tally.print(faults.map(({ name }) => name))}\n`)
})

function judge(name: string, history: OutboxHistory, strikes: number): void {
  const breaches = findBreaches(history)
  tally.add(name, figuresOf(history, breaches, strikes))
  expect(printBreaches(breaches)).toEqual([])
}

const place = () => ({ mongo: inject('mongoUrl'), redis: inject('redisUrl') })

const rounds = seeds.flatMap(seed => killFaults.filter(isChosen).map(fault => [fault.name, seed.value, fault] as const))

if (rounds.length === 0 && !isChosen(stormFault) && !failoverFaults.some(isChosen))
  test.skip('the fault that was named is another suite’s')

test.each(rounds)(
  '%s, seed %i',
  async (name, value, fault) => {
    judge(name, await playKill({ fault, seed: seeded(value), ...place() }), 1)
  },
  roundMsMax,
)

const stormed = isChosen(stormFault) ? seeds.slice(0, 1).map((seed): [number, Seed] => [seed.value, seed]) : []

test.each(stormed)(
  `${stormFault.name} of ${storm.transactions} transactions, seed %i`,
  async (_, seed) => {
    const { history, strikes, elapsedMs } = await playStorm({ seed, mongo: inject('mongoUrl'), ...storm })
    process.stdout.write(`${stormFault.name}: ${strikes} strikes in ${Math.round(elapsedMs)} ms\n`)
    judge(stormFault.name, history, strikes)
    expect(strikes, 'Nothing was killed').toBeGreaterThan(0)
  },
  roundMsMax,
)

const replaced = seeds.flatMap(seed =>
  failoverFaults.filter(isChosen).map(fault => [fault.name, seed.value, fault] as const),
)

test.concurrent.each(replaced)(
  '%s, seed %i',
  async (name, value, fault) => {
    const options = { fault, seed: seeded(value), ...place() }
    const isOfRedis = fault.how === 'redis-failed-over'
    judge(name, await (isOfRedis ? playFailover(options) : rigs.use(rig => playFailover({ ...options, rig }))), 1)
  },
  roundMsMax,
)

const lossy = killFaults.filter(({ name }) => name === 'outbox-committed').filter(isChosen)

test.each(lossy.map(fault => [fault.name, fault] as const))(
  'without an outbox, what is committed is lost in %s',
  async (_, fault) => {
    const seed = seeded(seeds[0]?.value ?? 0)
    const history = await playKill({ fault, seed, ...place(), wired: false })
    const kinds = new Set(findBreaches(history).map(({ kind }) => kind))
    expect(kinds).toContain('lost')
    expect(kinds).not.toContain('phantom')
  },
  roundMsMax,
)
