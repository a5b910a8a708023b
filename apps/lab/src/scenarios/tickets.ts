import { until } from '@strata/testkit'
import type { Outcome } from '../outcome.ts'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, counted } from './verdict.ts'

// The server has five write tickets. A transaction writes a document, each root writes it plainly, and then the transaction writes
// another one.
// Order of waits. A blocked plain write keeps a ticket while the server lets it wait for the transaction's document; the
// transaction's next statement needs one too, and what it cannot have at once ends it. The cure is that of all writes of one
// blocked document a process sends one, and the others wait without a ticket.

const tickets = 5
const held = 'tickets-held'
const next = 'tickets-next'
const written = 'the transaction has written'

/** Runs beside the roots; how often its body runs is what is shown. */
async function holder(stage: Stage): Promise<void> {
  let bodies = 0
  await stage.db.run(() =>
    stage.transaction(async () => {
      bodies += 1
      stage.count('bodies')
      await stage.write(held)
      stage.gates.open(written)
      // Once is enough: when the body runs again, the writers have had their turn.
      if (bodies === 1) await untilBlocked(stage)
      await stage.write(next)
    }),
  )
}

/** With levels until one write is left on the server, which takes some 200 ms; without until they have every ticket. */
async function untilBlocked(stage: Stage): Promise<void> {
  const isBlocked = async (): Promise<boolean> => {
    if (stage.units.size < stage.settings.roots) return false
    return isIsolated(stage.settings) ? running(stage) === 1 : (await ticketsLeft(stage)) === 0
  }
  await until(isBlocked, { deadlineMs: stage.limits.waitMs, message: 'the writers to be blocked', everyMs: 5 })
}

const running = (stage: Stage): number =>
  stage.db.activities().filter(({ phase, root }) => phase === 'running' && stage.units.has(root)).length

async function ticketsLeft(stage: Stage): Promise<number> {
  const status = await stage.rawClient.db('admin').command({ serverStatus: 1 })
  return status['wiredTiger'].concurrentTransactions.write.available
}

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const wrong = [...allCompleted(outcome, settings)]
  const bodies = counted(outcome, 'bodies')
  if (isIsolated(settings) && bodies !== 1) wrong.push(`the transaction's body ran ${bodies} times, promised is once`)
  if (!isIsolated(settings) && bodies < 2) wrong.push('the transaction found a ticket, promised is that it does not')
  return wrong
}

export const ticketsTaken: Scenario = {
  name: 'tickets',
  scarce: 'nothing',
  topology: 'replica-set',
  // With pools of roots x depth the transaction finds a connection beside the writers.
  depth: { min: 1, default: 2 },
  counts: ['bodies'],
  ownMongo: { mongoArgs: ['--setParameter', `wiredTigerConcurrentWriteTransactions=${tickets}`] },
  refuse: ({ isolation, roots, pool }) => {
    if (roots <= tickets) return `the server has ${tickets} tickets: give more --roots`
    if (isolation === 'levels' || pool > roots) return undefined
    return 'without levels the transaction shares the pool of the writers: give --pool more than --roots'
  },
  hazard: "writes that wait for a transaction's document keep the write tickets that it needs to go on (Z19)",
  promise: settings =>
    isIsolated(settings)
      ? 'all roots complete, and the transaction runs once: of all writes of a blocked document one is sent'
      : 'the transaction finds no ticket and has to run again: blocked writes keep all of them',
  judge,
  prepare: async stage => {
    await stage.raw.insertMany([held, next].map(_id => ({ _id, writes: 0 })))
  },
  beside: holder,
  root: async (stage, root) => {
    await stage.gates.wait(written)
    await stage.unit(root, () => stage.db.switchDbIsolate(() => stage.write(held)))
  },
}
