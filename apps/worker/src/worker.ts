import { createInbox } from '@strata/consistency/inbox'
import { createQueues, createWorker } from '@strata/queue'
import {
  addCourse,
  cancelEnrolment,
  chargeAccount,
  createLog,
  type Logger,
  openSchool,
  readHealth,
  renameStudent,
  reporter,
  settleEnrolment,
  stopInOrder,
  welcomeStudent,
} from '@strata/school'
import type { Config } from './config.ts'
import { jobLog } from './job-log.ts'
import { addCourseHandler } from './jobs/add-course.ts'
import { cancelEnrolmentHandler } from './jobs/cancel-enrolment.ts'
import { chargeAccountHandler } from './jobs/charge-account.ts'
import { renameStudentHandler } from './jobs/rename-student.ts'
import { welcomeStudentHandler } from './jobs/welcome-student.ts'
import { metrics } from './measuring.ts'
import { sideServer } from './side-server.ts'

/** The worker process, built and not yet started. */
export interface WorkerProcess {
  readonly log: Logger
  /** @throws what the servers cannot be reached with, CONNECTION_BUDGET, LISTEN_FAILED */
  start(): Promise<void>
  /** Allowed before `start`. @throws STOP_INCOMPLETE */
  stop(): Promise<void>
  /** Hands back what still runs, of a stop that waits for it. */
  cutShort(): void
}

/** Builds the worker process: the school, its handlers, and the order in which they start and stop. */
export function buildWorker(config: Config): WorkerProcess {
  const log = createLog({ name: 'worker', level: config.logLevel })
  const school = openSchool(config, log)
  const { db, datasource, outbox, transfers } = school
  const { jobsStopMs } = config
  const report = reporter(log)
  const queues = createQueues({ db, redis: config.redis, outbox, report })
  const inbox = createInbox({ db, datasource })
  const worker = createWorker({ db, redis: config.redis, lanes: { slots: config.laneSlots }, report })
  const logged = jobLog({ db, log })
  const handle: typeof worker.handle = (job, handler) => {
    worker.handle(job, logged(job.name, handler))
  }
  handle(renameStudent, renameStudentHandler(school))
  handle(chargeAccount, chargeAccountHandler({ school, queues, callTimeoutMs: config.callTimeoutMs }))
  handle(addCourse, addCourseHandler(school))
  handle(cancelEnrolment, cancelEnrolmentHandler(school))
  handle(settleEnrolment, cancelEnrolmentHandler(school))
  handle(welcomeStudent, welcomeStudentHandler(school, inbox))

  let phase: 'starting' | 'started' | 'stopping' = 'starting'
  const health = async () =>
    phase === 'started' ? await readHealth({ school, redis: () => worker.lanes(), log }) : { status: phase }
  const server = sideServer({ metrics, health, ...config.metrics })

  return {
    log,
    start: async () => {
      const serving = await server.start()
      if (serving) log.info(serving, 'Serving probes and metrics')
      // Queues too: their connections count from the start, and not from the first call of a handler.
      await Promise.all([school.start(), queues.start()])
      await inbox.ensureIndexes()
      await worker.start()
      outbox.start()
      transfers.commits.start()
      if (phase === 'starting') phase = 'started'
    },
    /** Jobs first, then what they push and call with, then what they write to. */
    stop: () => {
      phase = 'stopping'
      return stopInOrder([
        { what: 'jobs', limitMs: jobsStopMs + 1000, run: () => worker.stop({ deadlineMs: jobsStopMs }) },
        { what: 'transfers', limitMs: 200, run: () => transfers.commits.stop({ deadlineMs: 150 }) },
        { what: 'outbox', limitMs: 200, run: () => outbox.stop({ deadlineMs: 150 }) },
        { what: 'queues', limitMs: 500, run: () => queues.stop({ deadlineMs: 200 }) },
        { what: 'pools', limitMs: 400, run: () => db.stop({ deadlineMs: 200 }) },
        { what: 'side server', limitMs: 100, run: () => server.stop() },
        { what: 'metrics', limitMs: 200, run: () => metrics.stop() },
      ])
    },
    cutShort: () => void worker.stop({ deadlineMs: 0 }),
  }
}
