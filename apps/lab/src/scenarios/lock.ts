import { createLock, fenced, type Lease } from '@strata/consistency/lock'
import { defineJob } from '@strata/queue'
import { until } from '@strata/testkit'
import { z } from 'zod'
import type { Outcome } from '../outcome.ts'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import type { Scenario } from './scenario.ts'
import { allCompleted, counted } from './verdict.ts'

// Every round has a lock and a document of its own. A job takes the lock, makes its write ready, and has its process stopped for twice the
// lease's time. Meanwhile the API process waits for the lock, gets it and writes. Then the stopped process goes on, and its write comes
// after that of the newer lease. No clock of its own can keep it from that: it was stopped after it had looked.

/** Rounds at once, so that one stop of a process serves several. */
const roundsAtOnce = 10

/** Of the next holder's lease, which is not to be lost however busy the machine is. */
const nextTtlMs = 20_000

const hold = defineJob({ name: 'lock.hold', input: z.object({ round: z.number() }), output: z.object({}) })

interface Guarded {
  readonly _id: string
  /** Of the writes, in the order in which they were applied. */
  readonly tokens: readonly number[]
}

const keyOf = (round: number) => `round-${round}`
const heldGate = (round: number) => `held ${round}`
const goneOnGate = (round: number) => `gone on ${round}`

const guardedOf = ({ datasource }: Stage) => datasource.collection<Guarded>('guarded')
const rawOf = ({ rawClient, raw }: Stage) => rawClient.db(raw.dbName).collection<Guarded>('guarded')
const ttlOf = ({ own }: Settings) => Number(own['ttlMs'])
const isFenced = ({ own }: Settings) => own['fencing'] === 'on'

function lockOf({ db, datasource, settings, process }: Stage) {
  const waitMs = Math.min(settings.deadlineMs, 600_000)
  return createLock({ db, datasource, owner: process, ttlMs: ttlOf(settings), waitMs })
}

/** The write of a lease, ready to be sent. Says whether it was applied. */
function readyWrite(stage: Stage, round: number, lease: Lease): () => Promise<boolean> {
  const documents = guardedOf(stage)
  const _id = keyOf(round)
  const update = { $push: { tokens: lease.token } }
  const fence = fenced(lease)
  const isGuarded = isFenced(stage.settings)
  return async () => {
    const { matchedCount } = isGuarded
      ? await documents.updateOne({ _id, ...fence.filter }, fence.update(update))
      : await documents.updateOne({ _id }, update)
    return matchedCount === 1
  }
}

/** A lease whose write is ready: a stop on behalf of another round, or a busy machine, may end one before that. */
async function readyHolder(stage: Stage, round: number) {
  const tried = async () => {
    const lease = await lockOf(stage).tryAcquire(keyOf(round))
    if (lease?.isHeld) return { lease, write: readyWrite(stage, round, lease) }
    return void (await lease?.release())
  }
  const ready = await until(tried, { deadlineMs: stage.settings.deadlineMs, message: `a lease of ${keyOf(round)}` })
  if (!ready) throw new Error(`No lease of ${keyOf(round)}`)
  return ready
}

async function holdTooLong(stage: Stage, round: number): Promise<void> {
  const { lease, write } = await readyHolder(stage, round)
  stage.gates.open(heldGate(round))
  stage.report.pause(2 * ttlOf(stage.settings), goneOnGate(round))
  await stage.gates.wait(goneOnGate(round))
  if (!(await write())) stage.count('staleRefused')
  await lease.release()
}

async function playRound(stage: Stage, round: number): Promise<void> {
  await stage.unit(round, async () => {
    const held = stage.call(hold, { round })
    await Promise.race([held, stage.gates.wait(heldGate(round))])
    const write = (lease: Lease) => readyWrite(stage, round, lease)()
    await lockOf(stage).withLease(keyOf(round), write, { ttlMs: nextTtlMs })
    await held
  })
}

/** The rounds of this process that come one after the other. */
const rows = new Map<number, Promise<void>>()

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const wrong = [...allCompleted(outcome, settings)]
  const [accepted, refused] = [counted(outcome, 'staleAccepted'), counted(outcome, 'staleRefused')]
  if (!isFenced(settings))
    return accepted > 0 ? wrong : [...wrong, 'staleAccepted is 0, promised is more without fencing']
  if (accepted > 0) wrong.push(`staleAccepted is ${accepted}, promised is 0`)
  if (refused === 0) wrong.push('staleRefused is 0: no write came late enough to be refused')
  return wrong
}

export const lock: Scenario = {
  name: 'lock',
  scarce: 'nothing',
  ample: 2 * roundsAtOnce,
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  processes: 3,
  deadlineMs: 120_000,
  flags: {
    fencing: { about: 'whether writes carry the token', default: 'on', choices: ['on', 'off'] },
    rounds: { about: 'holders that are stopped for twice the time of their lease', default: 200, min: 1, max: 1000 },
    ttlMs: { about: 'the time of a lease', default: 300, min: 100, max: 10_000 },
  },
  roots: ({ rounds }) => Number(rounds),
  counts: ['staleAccepted', 'staleRefused'],
  refuse: ({ processes }) =>
    processes < 2
      ? 'the process of the holder is stopped, and another one goes on: give --processes 2 or more'
      : undefined,
  hazard:
    'the holder of a lock is stopped for longer than its lease, and writes after the next holder has written (honest ends)',
  promise: settings =>
    isFenced(settings)
      ? 'all rounds complete, and no document takes the write of a lease after that of a newer one'
      : 'without the token writes of leases that are over are accepted: staleAccepted > 0',
  judge,
  prepare: async stage => {
    await lockOf(stage).ensureIndexes()
    const rounds = Array.from({ length: stage.settings.roots }, (_, round) => round)
    await rawOf(stage).insertMany(rounds.map(round => ({ _id: keyOf(round), tokens: [] })))
  },
  work: (handlers, stage) => {
    handlers.handle(hold, async ({ round }) => {
      await holdTooLong(stage, round)
      return {}
    })
  },
  root: (stage, round) => {
    const row = round % roundsAtOnce
    const played = (rows.get(row) ?? Promise.resolve()).then(() => playRound(stage, round))
    rows.set(
      row,
      played.catch(() => {}),
    )
    return played
  },
  check: async stage => {
    for await (const { tokens } of rawOf(stage).find()) {
      stage.count(
        'staleAccepted',
        tokens.filter((token, at) => tokens.slice(0, at).some(earlier => earlier > token)).length,
      )
    }
  },
}
