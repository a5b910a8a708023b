import { createQueues } from '@strata/queue'
import { createLog, openSchool } from '@strata/school'
import { readConfig } from '../src/config.ts'
import type { RunningSchool } from './running-school.ts'

/** What a process of the school pushes and calls with, in the process of the test. */
export async function openClient({ env }: RunningSchool) {
  const config = readConfig({ ...process.env, ...env })
  const school = openSchool(config, createLog({ name: 'test', level: 'silent' }))
  const { db, outbox } = school
  const queues = createQueues({ db, redis: config.redis, outbox, report: () => {} })
  await Promise.all([school.start(), queues.start()])
  return {
    ...school,
    queues,
    [Symbol.asyncDispose]: async () => {
      await outbox.stop()
      await queues.stop({ deadlineMs: 5000 })
      await db.stop({ deadlineMs: 5000 })
    },
  }
}
