import { createIdempotency, type Idempotency } from '@strata/consistency/idempotency'
import { createQueues, type Queues } from '@strata/queue'
import { createLog, type Logger, openSchool, reporter, type School, stopInOrder } from '@strata/school'
import type { Metrics } from '@strata/school/metrics'
import { createAdmission } from './admission.ts'
import type { Config } from './config.ts'
import { metrics } from './measuring.ts'
import { statusOf } from './problems.ts'
import { createWork, type Work } from './work.ts'

/** What the routes work with. */
export interface Services {
  readonly school: School
  readonly queues: Queues
  /** The keys of requests, and their answers. */
  readonly idempotency: Idempotency
  readonly metrics: Metrics
  readonly log: Logger
  /** The longest wait for a job, in milliseconds. */
  readonly callTimeoutMs: number
  /** Runs the work of one request. @throws ADMISSION_FULL, ABORTED */
  work: Work['run']
  /** Gives up the requests that are still under way, and waits for what they have to undo. */
  giveUp(): Promise<void>
  /** @throws what the servers cannot be reached with, CONNECTION_BUDGET */
  start(): Promise<void>
  stop(): Promise<void>
}

const settleMs = 1500

export function openServices(config: Config): Services {
  const log = createLog({ name: 'api', level: config.logLevel })
  const school = openSchool(config, log)
  const { db, outbox } = school
  const queues = createQueues({ db, redis: config.redis, outbox, report: reporter(log) })
  const work = createWork({ db, admission: createAdmission(config.admissionMax) })
  const idempotency = createIdempotency({
    db,
    datasource: school.datasource,
    // What is this process's fault, or the servers', is no answer that a sender would want again.
    isFinal: ({ code }) => statusOf(code) < 500,
  })
  return {
    school,
    queues,
    idempotency,
    metrics,
    log,
    callTimeoutMs: config.callTimeoutMs,
    work: work.run,
    giveUp: () => work.giveUp(settleMs),
    start: async () => {
      await Promise.all([school.start(), queues.start()])
      await idempotency.ensureIndexes()
    },
    stop: () =>
      stopInOrder([
        { what: 'transfers', limitMs: 200, run: () => school.transfers.commits.stop({ deadlineMs: 150 }) },
        { what: 'outbox', limitMs: 200, run: () => outbox.stop({ deadlineMs: 150 }) },
        { what: 'queues', limitMs: 800, run: () => queues.stop({ deadlineMs: 500 }) },
        { what: 'pools', limitMs: 600, run: () => db.stop({ deadlineMs: 400 }) },
        { what: 'metrics', limitMs: 200, run: () => metrics.stop() },
      ]),
  }
}
