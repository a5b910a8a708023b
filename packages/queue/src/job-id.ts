import { randomBytes } from 'node:crypto'

/** 72 random bits: no two processes are alike. */
const own = randomBytes(9).toString('base64url')
let last = 0

/**
 * A new id for a job, or a call. Half the length of a UUID, which Redis compares, copies and keeps a dozen times a call. With a
 * letter in it, for BullMQ takes no custom id that is a number.
 */
export function newJobId(): string {
  last += 1
  return `s${own}-${last.toString(36)}`
}
