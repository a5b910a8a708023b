import { createQueues } from '@strata/queue'
import { HistoryFile } from '../history.ts'
import { workJob } from '../work.ts'
import { Calls } from './calls.ts'
import { perform } from './performer.ts'

/** A process that makes calls, each a unit of work of its own. */
perform(async ({ db, place }) => {
  const { redis, prefix } = place
  const queues = createQueues({ db, redis, prefix, report: () => {} })
  await queues.start()
  const calls = new Calls({ queues, job: workJob(), history: new HistoryFile(place.history) })
  return {
    call: plans => {
      // How a call ended stands in the history.
      for (const plan of plans) db.run(() => calls.make(plan, false), { deadlineMs: 120_000 }).catch(() => {})
    },
    close: () => queues.stop({ deadlineMs: 1000 }),
  }
})
