/** What a test puts together into a worker of its own. */
export { readConfig } from './config.ts'
export { addCourseHandler } from './jobs/add-course.ts'
export { cancelEnrolmentHandler } from './jobs/cancel-enrolment.ts'
export { chargeAccountHandler } from './jobs/charge-account.ts'
