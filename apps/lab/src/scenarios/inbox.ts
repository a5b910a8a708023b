import { createInbox } from '@strata/consistency/inbox'
import { hasCode } from '@strata/db-context'
import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Outcome } from '../outcome.ts'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import type { Scenario } from './scenario.ts'
import { allCompleted, counted } from './verdict.ts'

// Every root is a message, which is delivered five times at once. The handler adds 1 to the message's document, in the transaction
// of its inbox, and tells which delivery it was. Nobody waits in a circle: what is shown is that each message has one effect,
// that the other deliveries are told the result of the one that had it, and that none of them keeps a slot meanwhile.

const deliveries = 5
const documentOf = (root: number) => `message-${root}`

const deliver = defineJob({
  name: 'inbox.deliver',
  input: z.object({ root: z.number(), delivery: z.number() }),
  output: z.object({ by: z.number() }),
})

const inboxOf = ({ db, datasource }: Stage) => createInbox({ db, datasource })

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const { roots } = settings
  const wrong = [...allCompleted(outcome, settings)]
  const promised = { effects: roots, stored: roots * (deliveries - 1) }
  for (const [name, count] of Object.entries(promised)) {
    const got = counted(outcome, name)
    if (got !== count) wrong.push(`${name} is ${got}, promised is ${count}`)
  }
  return wrong
}

export const inbox: Scenario = {
  name: 'inbox',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  counts: ['effects', 'stored', 'putBack'],
  hazard:
    'a message is delivered five times at once: a duplicate must neither run nor wait in a slot for the first (Z32)',
  promise: ({ roots }) =>
    `all roots complete: ${roots} effects, and ${roots * (deliveries - 1)} deliveries with the stored result, with levels and without`,
  judge,
  prepare: async stage => {
    await inboxOf(stage).ensureIndexes()
    const roots = Array.from({ length: stage.settings.roots }, (_, root) => root)
    await stage.raw.insertMany(roots.map(root => ({ _id: documentOf(root), writes: 0 })))
  },
  work: (handlers, stage) => {
    const messages = inboxOf(stage)
    handlers.handle(deliver, async ({ root, delivery }) => {
      const message = { scope: deliver.name, key: String(root) }
      const body = async () => {
        await stage.write(documentOf(root))
        return { by: delivery }
      }
      try {
        return await messages.handle(message, body, { deadlineMs: stage.limits.transactionMs })
      } catch (error) {
        if (hasCode(error, 'MESSAGE_IN_PROGRESS')) stage.count('putBack')
        throw error
      }
    })
  },
  root: async (stage, root) => {
    const calls = Array.from({ length: deliveries }, (_, delivery) =>
      stage.unit(root, () => stage.call(deliver, { root, delivery })),
    )
    const told = await Promise.all(calls)
    stage.count('stored', told.filter(({ by }, delivery) => by !== delivery).length)
  },
  check: async stage => {
    for await (const { writes } of stage.raw.find({ _id: /^message-/ })) stage.count('effects', writes)
  },
}
