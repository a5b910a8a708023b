import { setTimeout as pause } from 'node:timers/promises'
import { createIdempotency } from '@strata/consistency/idempotency'
import { createInbox } from '@strata/consistency/inbox'
import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Outcome } from '../outcome.ts'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import { isIsolated, type Scenario } from './scenario.ts'
import { allCompleted, counted } from './verdict.ts'

// The roots are senders. Each sends a request with a key to the processes that take requests (here the workers), which write an
// order and await its charge in one transaction. One of them is killed when it has had its charge made and before it commits.
// Every sender whose connection is cut sends the same again, until it is answered. Shown is that there is one order and one charge
// a key. Without levels nobody ends the dead process's transaction, and its keys stay in progress until the server does.

const killed = 'the process is gone'
const repeatMs = 250

const request = defineJob({
  name: 'idempotency.request',
  input: z.object({ root: z.number() }),
  output: z.object({ order: z.string() }),
})
const charge = defineJob({
  name: 'idempotency.charge',
  input: z.object({ root: z.number(), order: z.string() }),
  output: z.object({}),
})

const keysOf = ({ db, datasource }: Stage) => createIdempotency({ db, datasource })
const inboxOf = ({ db, datasource }: Stage) => createInbox({ db, datasource })

async function order(stage: Stage, root: number): Promise<{ order: string }> {
  const id = `order-${root}-${stage.db.current.transaction?.id}`
  await stage.documents.insertOne({ _id: id, writes: 1 })
  await stage.call(charge, { root, order: id })
  if (await isFirst(stage)) {
    stage.report.kill('self', killed)
    await new Promise<never>(() => {})
  }
  return { order: id }
}

async function isFirst(stage: Stage): Promise<boolean> {
  const { upsertedCount } = await stage.raw.updateOne({ _id: 'killed' }, { $inc: { writes: 1 } }, { upsert: true })
  return upsertedCount === 1
}

/** Until it is answered; a request that was sent before the kill may be one whose connection was cut by it. */
async function sendUntilAnswered(stage: Stage, root: number): Promise<void> {
  for (;;) {
    const isBefore = !stage.gates.isOpen(killed)
    const sent = stage
      .unit(root, () => stage.call(request, { root }))
      .then(
        () => true,
        () => false,
      )
    const isAnswered = await (isBefore ? Promise.race([sent, stage.gates.wait(killed).then(() => false)]) : sent)
    if (isAnswered) return
    stage.count('repeats')
    await pause(repeatMs)
  }
}

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const { roots } = settings
  if (!isIsolated(settings)) {
    const isHang = outcome.hung > 0 && outcome.failed === 0
    return isHang ? [] : [`some keys were to stay in progress: ${outcome.hung} hung, ${outcome.failed} failed`]
  }
  const wrong = [...allCompleted(outcome, settings)]
  for (const name of ['orders', 'charges']) {
    const got = counted(outcome, name)
    if (got !== roots) wrong.push(`${name} is ${got}, promised is ${roots}, one a key`)
  }
  return wrong
}

export const idempotency: Scenario = {
  name: 'idempotency',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 2, default: 2 },
  processes: 3,
  counts: ['orders', 'charges', 'repeats'],
  refuse: ({ processes }) =>
    processes < 3 ? 'one of the processes that take requests is killed: give --processes 3 or more' : undefined,
  hazard:
    'a process is killed in the middle of requests that have been charged, and their senders repeat them (honest ends)',
  promise: settings =>
    isIsolated(settings)
      ? 'all roots complete: one order and one charge a key, though requests are repeated until they are answered'
      : 'roots hang: the keys of the killed process stay in progress until the server ends its transactions',
  judge,
  prepare: async stage => {
    await keysOf(stage).ensureIndexes()
    await inboxOf(stage).ensureIndexes()
  },
  work: (handlers, stage) => {
    const keys = keysOf(stage)
    const charged = inboxOf(stage)
    const transaction = { deadlineMs: stage.limits.transactionMs }
    handlers.handle(request, async ({ root }) => {
      const asked = { key: `key-${root}`, request: { root }, transaction }
      const { answer } = await keys.run(asked, () => order(stage, root))
      return answer
    })
    handlers.handle(charge, ({ root, order: key }) => {
      const add = async () => {
        await stage.documents.updateOne({ _id: `charge-${root}` }, { $inc: { writes: 1 } }, { upsert: true })
        return {}
      }
      return charged.handle({ scope: charge.name, key }, add, transaction)
    })
  },
  root: sendUntilAnswered,
  check: async stage => {
    stage.count('orders', await stage.raw.countDocuments({ _id: /^order-/ }))
    for await (const { writes } of stage.raw.find({ _id: /^charge-/ })) stage.count('charges', writes)
  },
}
