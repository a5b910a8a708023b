import { seeded } from '@strata/testkit'
import { afterAll, expect, test } from 'vitest'
import { everyFault } from '../every-fault.ts'
import { findBreaches, printBreaches } from './checker.ts'
import { Crew } from './crew.ts'
import { CrewPool } from './crew-pool.ts'
import type { Fault } from './fault.ts'
import { faults as all } from './faults.ts'
import { addFigures, type Figures, figuresOf, printFigures } from './figures.ts'
import type { History } from './history.ts'
import type { Serving } from './process/messages.ts'
import { Round } from './round.ts'
import { readSelection } from './selection.ts'

const { faults, seeds, isWhole } = readSelection(process.env, all, everyFault)

/** A job of a worker that was killed runs again within this, beside its lock and the interval of the looks: 15 s in the whole form. */
const takeoverSlackMs = 1000

/** Of the short form: its few seconds of locks stand beside whatever else keeps the machine busy. */
const takeoverSlackMsShort = 4000

/** Far more than any round takes, the wait for a crew included. */
const roundMsMax = 600_000

/** Rounds mostly wait: a few side by side do not disturb each other. */
const crews = new CrewPool(3, () => Crew.start())
const figures = new Map<Fault, Figures>()

afterAll(async () => {
  await crews.stop()
  const inOrder = new Map(
    faults.flatMap(fault => (figures.has(fault) ? [[fault, figures.get(fault)]] : [])) as [Fault, Figures][],
  )
  process.stdout.write(`${printFigures(inOrder)}\n`)
}, 60_000)

async function play(fault: Fault, seed: number): Promise<{ round: Round; history: History }> {
  return await crews.use(async crew => {
    const round = new Round(crew, { fault, seed: seeded(seed), isWhole })
    try {
      return { round, history: await round.run() }
    } finally {
      await round.close()
    }
  })
}

async function judge(fault: Fault, seed: number): Promise<void> {
  const { round, history } = await play(fault, seed)
  const breaches = findBreaches(history)
  const seen = figuresOf(history, breaches, round.times)
  const before = figures.get(fault)
  figures.set(fault, before ? addFigures(before, seen) : seen)
  expect(printBreaches(breaches, history)).toEqual([])
  expect(round.times, 'The fault did not take place').toBeGreaterThan(0)
  if (fault.takesOver) expect(seen.takeoverMs, 'No job was taken over').toBeDefined()
  expect(seen.takeoverMs ?? 0).toBeLessThanOrEqual(takeoverMsMax(fault))
}

/** As the README of the queue promises it, for the locks that the workers of this form have. */
function takeoverMsMax(fault: Fault): number {
  const { stalled } = { stalled: {}, ...fault.serving?.(isWhole) }
  const { lockDurationMs = 10_000, stalledIntervalMs = 4000 }: Serving['stalled'] = stalled
  return lockDurationMs + stalledIntervalMs + (isWhole ? takeoverSlackMs : takeoverSlackMsShort)
}

const rounds = faults.flatMap(fault => seeds.map(({ value }) => [fault.name, value, fault] as const))

if (rounds.length === 0) test.skip('the fault that was named is one of transactions')
test.concurrent.each(rounds)('%s, seed %i', (_, seed, fault) => judge(fault, seed), roundMsMax)

// The rig itself: what calls are saved by is taken away, and the checker has to tell.
const lost = faults.find(({ name }) => name === 'reply-lost')
async function playWithoutRecords(fault: Fault, seed: number): Promise<void> {
  const { history } = await play({ ...fault, load: { removeOnComplete: 'always' } }, seed)
  const texts = findBreaches(history).map(({ text }) => text)
  expect(texts).toContain('ended with RESULT_LOST (unknown), which this fault does not explain')
}

const [first] = seeds
if (lost && first) {
  const rehearsal = () => playWithoutRecords(lost, first.value)
  test.concurrent('without a record to look at, lost replies are told as lost results', rehearsal, roundMsMax)
}
