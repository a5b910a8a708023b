import { defineJob } from '@strata/queue'
import { z } from 'zod'
import { centsField, courseField, idField, levelsField, nameField } from './fields.ts'

/** Gives a student another name. Running it twice changes nothing. */
export const renameStudent = defineJob({
  name: 'student.rename',
  input: z.strictObject({ studentId: idField, name: nameField }),
  output: z.strictObject({ levels: levelsField }),
})

const enrolment = z.strictObject({
  enrolmentId: idField,
  studentId: idField,
  course: courseField,
  feeCents: centsField,
})

/** One enrolment as its jobs carry it. */
export type EnrolmentInput = z.output<typeof enrolment>

/**
 * Charges the account whose id is the student's and has the course added, all in one transaction: refused as a whole
 * when the account cannot pay. Once it has resolved the charge is committed, whatever becomes of the caller's own
 * transaction; {@link cancelEnrolment} undoes it. Charges once an enrolment, however often it is run.
 */
export const chargeAccount = defineJob({
  name: 'account.charge',
  input: enrolment,
  output: z.strictObject({ levels: levelsField }),
  // Twenty at once on one account: one in twenty finds it taken for longer than a transaction waits. It gives its slot
  // back and comes again, rather than to fail; that makes it one in millions.
  attempts: 6,
  backoff: { type: 'fixed', delay: 100, jitter: 0.5 },
})

/** Greets a student who has enrolled: one welcome an enrolment, however often the job is delivered. */
export const welcomeStudent = defineJob({
  name: 'student.welcome',
  input: enrolment.omit({ feeCents: true }),
  output: z.strictObject({ welcomed: z.string() }),
  attempts: 10,
  backoff: { type: 'exponential', delay: 1000 },
})

/** Puts a course on a student's list. Running it twice changes nothing. */
export const addCourse = defineJob({
  name: 'course.add',
  input: enrolment.omit({ feeCents: true }),
  output: z.strictObject({ levels: levelsField }),
})

/**
 * Ends an enrolment whose caller failed without knowing whether it was charged: pays back what was charged, takes the
 * course off the list, and keeps a charge that comes later from being made. Leaves an enrolment that did commit as it is.
 */
export const cancelEnrolment = defineJob({
  name: 'enrolment.cancel',
  input: enrolment,
  output: z.strictObject({ cancelled: z.boolean() }),
  // Together some 8 minutes: an open charge that it conflicts with ends within one.
  attempts: 10,
  backoff: { type: 'exponential', delay: 1000 },
})

/**
 * Follows each charge, once whoever asked for it must have ended: does what {@link cancelEnrolment} does, should nobody be left who
 * knows that the enrolment failed. Its own name tells the two apart in logs and counts; its queue is the same, and so are its lanes.
 */
export const settleEnrolment = defineJob({
  name: 'enrolment.settle',
  queue: cancelEnrolment.queue,
  input: cancelEnrolment.input,
  output: cancelEnrolment.output,
  attempts: 10,
  backoff: { type: 'exponential', delay: 1000 },
})
