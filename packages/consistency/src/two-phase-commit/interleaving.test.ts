import { randomUUID } from 'node:crypto'
import fc, { type Scheduler } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { clockSkewMs, leaseMs, type Process, transfer, World } from '../../test/two-phase-commit/world.ts'
import { Coordinator } from './coordinator.ts'
import { open } from './opening.ts'
import { orderOf } from './parts.ts'
import { type Protocol, protocol } from './table.ts'
import { readRecord, transit } from './transition.ts'

type Move = { readonly from: string; readonly to: string; readonly amount: number }

interface Plan {
  readonly moves: readonly Move[]
  /** After how many steps of the scheduler each process dies, if at all. */
  readonly deaths: readonly number[]
  /** How far time goes on, and after how many steps. */
  readonly jumps: readonly { readonly at: number; readonly ms: number }[]
  /** The numbers of the statements of each of the first two that arrive only when all is over. */
  readonly kept: readonly (readonly number[])[]
  /** Which are canceled, and after how many steps. */
  readonly cancels: readonly { readonly at: number; readonly move: number }[]
}

const account = fc.constantFrom('A', 'B', 'C')
const move = fc
  .record({ from: account, to: account, amount: fc.integer({ min: 1, max: 60 }) })
  .filter(({ from, to }) => from !== to)
const at = fc.integer({ min: 0, max: 60 })
const plans: fc.Arbitrary<Plan> = fc.record({
  moves: fc.array(move, { minLength: 1, maxLength: 3 }),
  deaths: fc.array(at, { maxLength: 2 }),
  jumps: fc.array(fc.record({ at, ms: fc.integer({ min: 1, max: leaseMs * 2 }) }), { maxLength: 4 }),
  kept: fc.array(fc.array(fc.integer({ min: 1, max: 12 }), { maxLength: 2 }), { maxLength: 2 }),
  cancels: fc.array(fc.record({ at, move: fc.integer({ min: 0, max: 2 }) }), { maxLength: 2 }),
})

const idOf = (index: number) => `t${index}`
const signal = new AbortController().signal

async function runAll({ engine }: Process, moves: readonly Move[]): Promise<void> {
  for (const [index, input] of moves.entries()) {
    const { record, isMine } = await open(engine, { id: idOf(index), order: await orderOf(transfer, input) })
    if (isMine) await new Coordinator(engine, signal).drive(record)
  }
}

/** Takes up whatever has no owner at the moment, some rounds long. */
async function recoverAll({ engine }: Pick<Process, 'engine'>, moves: readonly Move[], rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    for (const index of moves.keys()) {
      const record = await readRecord(engine, idOf(index))
      if (!record) continue
      const name = record.state === 'initial' ? 'start' : 'take-over'
      const claimed = await transit(engine, name, { id: record._id, claim: { owner: randomUUID() } })
      if (claimed) await new Coordinator(engine, signal).drive(claimed)
    }
  }
}

async function cancelOne({ engine }: Process, index: number): Promise<void> {
  const cause = { code: 'TWO_PHASE_CANCELED', message: '' }
  const claimed = await transit(engine, 'cancel', { id: idOf(index), claim: { owner: randomUUID() }, set: { cause } })
  if (claimed) await new Coordinator(engine, signal).drive(claimed)
}

/** Two coordinators of the same transfers and a recoverer, that may die, while time goes on as it likes. */
async function play(scheduler: Scheduler, plan: Plan, rules: Protocol): Promise<ReadonlySet<string>> {
  const world = new World(scheduler, rules)
  for (const [_id, balance] of Object.entries({ A: 100, B: 10, C: 0 })) {
    world.memory.collection('accounts').push({ _id, balance })
  }
  const processes = [world.process(plan.kept[0]), world.process(plan.kept[1]), world.process()]
  const [one, two, three] = processes as [Process, Process, Process]
  // What ends one with an error ends it as a crash does.
  for (const work of [runAll(one, plan.moves), runAll(two, plan.moves), recoverAll(three, plan.moves, 2)]) {
    work.catch(() => {})
  }
  await drain(scheduler, step => {
    for (const [index, death] of plan.deaths.entries()) if (death === step) (processes[index] as Process).isDead = true
    for (const jump of plan.jumps) if (jump.at === step) world.memory.nowMs += jump.ms
    for (const cancel of plan.cancels) if (cancel.at === step) cancelOne(three, cancel.move).catch(() => {})
  })
  for (const process of processes) process.isDead = true
  // Faults have stopped: whoever comes now finds it free, and what was under way arrives before its work, amid it or after it.
  for (let round = 0; round < 3; round += 1) {
    world.memory.nowMs += round * (leaseMs + clockSkewMs)
    void recoverAll(world.process(), plan.moves, 1)
    await drain(scheduler)
    world.release()
    await drain(scheduler)
  }
  world.judge()
  return world.breaches
}

/** Runs what is scheduled, one after the other, until nothing more comes of it. */
async function drain(scheduler: Scheduler, before: (step: number) => void = () => {}): Promise<void> {
  for (let step = 0; step < 2000; step += 1) {
    before(step)
    for (let idle = 0; scheduler.count() === 0; idle += 1) {
      if (idle === 3) return
      await new Promise(resolve => setImmediate(resolve))
    }
    await scheduler.waitOne()
  }
}

const property = (rules: Protocol) =>
  fc.asyncProperty(fc.scheduler(), plans, async (scheduler, plan) => {
    expect([...(await play(scheduler, plan, rules))]).toEqual([])
  })

test('however statements interleave, whoever dies and whatever the time, every transfer has one whole end', async () => {
  await fc.assert(property(protocol), {
    numRuns: Number(process.env['STRATA_RUNS'] ?? 100),
    ...seedOf(process.env['STRATA_SEED']),
  })
}, 60_000)

const seedOf = (text: string | undefined) => (text === undefined ? {} : { seed: Number(text) })

const { apply, release, reverse } = protocol.steps
const mistakes: readonly (readonly [string, Protocol])[] = [
  [
    'no tombstone is heeded and no deadline',
    {
      ...protocol,
      steps: { ...protocol.steps, apply: { ...apply, refusedByTombstone: false, checksDeadline: false } },
    },
  ],
  [
    'a transition does not compare the token',
    {
      ...protocol,
      transitions: {
        ...protocol.transitions,
        commit: { ...protocol.transitions.commit, token: 'none', from: ['pending', 'canceling'] },
      },
    },
  ],
  ['nothing is reversed', { ...protocol, steps: { ...protocol.steps, reverse: { ...reverse, effect: 'none' } } }],
  ['guards are not checked', { ...protocol, steps: { ...protocol.steps, apply: { ...apply, checksGuard: false } } }],
  ['entries stay', { ...protocol, steps: { ...protocol.steps, release: { ...release, entry: 'kept' } } }],
]

/** Of each, a seed that comes to it soon: a whole search is the model check's. */
describe('the same finds it where', () => {
  test.each(mistakes)(
    '%s',
    async (_, rules) => {
      const { failed } = await fc.check(property(rules), { numRuns: 1000, endOnFailure: true, seed: 1 })
      expect(failed).toBe(true)
    },
    60_000,
  )
})
