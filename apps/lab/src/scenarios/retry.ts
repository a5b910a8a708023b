import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Outcome } from '../outcome.ts'
import type { Settings } from '../settings.ts'
import type { Scenario } from './scenario.ts'
import { allCompleted, counted } from './verdict.ts'

// Every root reads one document in a transaction, awaits a job, and writes the document. Whoever writes it after another has
// committed conflicts, and its body runs again, at first nearly all of them. Nobody waits in a circle: what is shown is
// that every body that runs again finds the job it has called before, and that the writes add up.

const shared = 'retry-shared'

const record = defineJob({
  name: 'retry.record',
  input: z.object({ root: z.number() }),
  output: z.object({}),
})

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const { roots, pool } = settings
  const wrong = [...allCompleted(outcome, settings)]
  const expect = (name: string, isRight: boolean, promised: string): void => {
    if (!isRight) wrong.push(`${name} is ${counted(outcome, name)}, promised is ${promised}`)
  }
  expect('writes', counted(outcome, 'writes') === roots, `${roots}, one a root`)
  expect('jobsRun', counted(outcome, 'jobsRun') === roots, `${roots}, one a root`)
  // With a pool of 1 transactions come one after the other.
  const canConflict = roots > 1 && pool > 1
  expect('bodies', !canConflict || counted(outcome, 'bodies') > roots, `more than ${roots}: nobody met a conflict`)
  return wrong
}

export const retry: Scenario = {
  name: 'retry',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  counts: ['bodies', 'jobsRun', 'writes'],
  // All want one document, one after the other: on a busy machine that takes longer than the product's default.
  lockWaitMs: ({ deadlineMs }) => deadlineMs,
  hazard: 'a write conflict has a transaction run again that had its job done already (Z16, Z33)',
  promise: () => 'all roots complete: bodies run more often than there are roots, each job and each write once a root',
  judge,
  prepare: async stage => {
    await stage.raw.insertOne({ _id: shared, writes: 0 })
  },
  work: (handlers, stage) => {
    handlers.handle(record, async () => {
      stage.count('jobsRun')
      return {}
    })
  },
  root: (stage, root) =>
    stage.unit(root, () =>
      stage.transaction(async () => {
        stage.count('bodies')
        await stage.documents.findOne({ _id: shared })
        await stage.call(record, { root })
        await stage.write(shared)
      }),
    ),
  check: async stage => {
    const document = await stage.raw.findOne({ _id: shared })
    stage.count('writes', document?.writes)
  },
}
