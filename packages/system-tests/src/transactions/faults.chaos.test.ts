import { seeded } from '@strata/testkit'
import { afterAll, expect, inject, test } from 'vitest'
import { CrewPool } from '../chaos/crew-pool.ts'
import { readSelection } from '../chaos/selection.ts'
import { everyFault } from '../every-fault.ts'
import { type BreachKind, findBreaches, printBreaches } from './checker.ts'
import type { TransactionFault } from './fault.ts'
import { transactionFaults } from './faults.ts'
import { addFigures, type Figures, figuresOf, printFigures } from './figures.ts'
import { type Belief, RawParticipant } from './raw-participant.ts'
import { Rig } from './rig.ts'
import { Round, type RoundOptions } from './round.ts'

const { faults, seeds } = readSelection(process.env, transactionFaults, everyFault)

/** Far more than any round takes, the wait for servers included. */
const roundMsMax = 1_800_000

/** A fail point is one for its whole server, so each round has servers of its own. */
const rigs = { 1: new CrewPool(3, () => Rig.start(1)), 3: new CrewPool(1, () => Rig.start(3)) } as const
const figures = new Map<TransactionFault, Figures>()

afterAll(async () => {
  await Promise.all([rigs[1].stop(), rigs[3].stop()])
  const inOrder = faults.flatMap(fault => {
    const seen = figures.get(fault)
    return seen ? [[fault, seen] as const] : []
  })
  process.stdout.write(`${printFigures(new Map(inOrder))}\n`)
}, 60_000)

async function play(fault: TransactionFault, options: Pick<RoundOptions, 'seed' | 'participant'>) {
  return await rigs[fault.members].use(async rig => {
    const round = new Round(rig, { fault, redisUrl: inject('redisUrl'), ...options })
    const history = await round.run()
    return { history, breaches: findBreaches(history), times: round.times }
  })
}

async function judge(fault: TransactionFault, seed: number): Promise<void> {
  const { history, breaches, times } = await play(fault, { seed: seeded(seed) })
  const seen = figuresOf(history, breaches, times)
  const before = figures.get(fault)
  figures.set(fault, before ? addFigures(before, seen) : seen)
  expect(printBreaches(breaches, history)).toEqual([])
  expect(times, 'The fault did not take place').toBeGreaterThan(0)
}

// By seed, not by fault: rounds on three servers wait for each other, and the others go on meanwhile.
const rounds = seeds.flatMap(({ value }) => faults.map(fault => [fault.name, value, fault] as const))

if (rounds.length === 0) test.skip('the fault that was named is one of calls')
test.concurrent.each(rounds)('%s, seed %i', (_, seed, fault) => judge(fault, seed), roundMsMax)

const rehearsalsMax = 5

/** What each way of the raw driver makes of a commit that was done and told as failed. */
const rehearsals: readonly (readonly [fault: string, belief: Belief, kind: BreachKind])[] = [
  ['commit-reply-cut', 'failed', 'false-not-applied'],
  ['commit-reply-cut', 'runs-again', 'doubled'],
  ['commit-unconfirmed', 'failed', 'false-not-applied'],
  ['commit-unconfirmed', 'runs-again', 'doubled'],
]

test.concurrent.each(rehearsals.filter(([name]) => faults.some(fault => fault.name === name)))(
  'without Strata, in %s and where an error of the commit is taken as "%s", transactions are %s',
  async (name, belief, kind) => {
    const fault = transactionFaults.find(each => each.name === name)
    const first = seeds[0]?.value ?? 0
    if (!fault) throw new Error(`There is no fault "${name}"`)
    const participant: RoundOptions['participant'] = place => new RawParticipant(place, belief)
    const seen = new Set<BreachKind>()
    // Not every draw meets a commit with an error that the driver does not heal by itself.
    for (let seed = first; seed < first + rehearsalsMax && !seen.has(kind); seed += 1) {
      const { breaches } = await play({ ...fault, load: { calling: 0 } }, { seed: seeded(seed), participant })
      for (const breach of breaches) seen.add(breach.kind)
    }
    expect([...seen]).toContain(kind)
  },
  roundMsMax,
)
