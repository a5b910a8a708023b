import { createQueues, createWorker } from '@strata/queue'
import { addCourse, cancelEnrolment, chargeAccount, createLog, openSchool, renameStudent } from '@strata/school'
import type { Config } from './config.ts'
import { jobLog } from './job-log.ts'
import { addCourseHandler } from './jobs/add-course.ts'
import { cancelEnrolmentHandler } from './jobs/cancel-enrolment.ts'
import { chargeAccountHandler } from './jobs/charge-account.ts'
import { renameStudentHandler } from './jobs/rename-student.ts'
import { metrics } from './measuring.ts'

const workerStopMs = 2000
const queuesStopMs = 300
const dataStopMs = 700

/** Builds the worker process: the school, its handlers, and the order in which they start and stop. */
export function buildWorker(config: Config) {
  const log = createLog({ name: 'worker', level: config.logLevel })
  const school = openSchool(config, log)
  const { db } = school
  const report = (error: unknown, what: string) => log.warn({ err: error }, what)
  const queues = createQueues({ db, redis: config.redis, report })
  const worker = createWorker({ db, redis: config.redis, lanes: { slots: config.laneSlots }, report })
  const logged = jobLog({ db, log })

  const charge = chargeAccountHandler({ school, queues, callTimeoutMs: config.callTimeoutMs })
  worker.handle(renameStudent, logged(renameStudent.name, renameStudentHandler(school)))
  worker.handle(chargeAccount, logged(chargeAccount.name, charge))
  worker.handle(addCourse, logged(addCourse.name, addCourseHandler(school)))
  worker.handle(cancelEnrolment, logged(cancelEnrolment.name, cancelEnrolmentHandler(school)))

  return {
    log,
    start: async () => {
      await school.start()
      await worker.start()
    },
    /** Jobs first, then what they call with, then what they write to. */
    stop: async () => {
      await worker.stop({ deadlineMs: workerStopMs })
      await queues.stop({ deadlineMs: queuesStopMs })
      await db.stop({ deadlineMs: dataStopMs })
      await metrics.stop()
    },
  }
}
