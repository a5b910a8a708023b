import { type ErrorSpec, errorFactory } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const
const later = { outcome: 'not-applied', transient: true } as const
const unknown = { outcome: 'unknown', transient: false } as const

/** Every error that `queue` throws; `docs/reference/errors.md` is kept equal to it by a test. */
export const queueErrors = {
  AWAIT_BEFORE_COMMIT: {
    ...refused,
    when: 'The result of a push was awaited inside the transaction whose commit the push waits for',
  },
  CALLER_GONE: { ...later, when: "A call was not started, for its caller's process was not heard of for 15 s" },
  CALL_ABORTED: { ...unknown, when: 'A call was given up through its `signal`, or the signal of its caller' },
  CALL_EXPIRED: {
    ...later,
    when: "A worker took a call whose deadline had passed: the call's handler was not started",
  },
  CALLS_LIMIT: { ...later, when: 'As many calls wait in this process as `callsMax` allows' },
  CALL_TIMEOUT: { ...unknown, when: 'A call had no result at its deadline' },
  CONNECTION_BUDGET: { ...refused, when: 'The connections of all processes together do not fit into the server' },
  DUPLICATE_CALL: {
    ...later,
    when: 'A job with the id of a call waits or runs, but not deeper than the caller, or is a push',
  },
  ENVELOPE_INVALID: { ...refused, when: 'What travels beside a job cannot be read, or does not fit its lane' },
  HANDLER_MISSING: {
    ...later,
    when: 'For 10 s only workers without a handler for the job took it, and left it for another',
  },
  INPUT_INVALID: { ...refused, when: "The input of a job does not fit the job's schema, or is not JSON" },
  JOB_FAILED: { ...unknown, when: 'The handler of an awaited job failed with an error that is not a StrataError' },
  LANE_UNSERVED: { ...later, when: 'A call waited for 2 s in a lane that no live process serves: its job was removed' },
  LEAK: {
    ...unknown,
    when: 'A handler went on after its signal was aborted and the grace after it: its slot was given to others',
  },
  MESSAGE_INVALID: {
    ...refused,
    when: 'What another process is to have written beside the jobs (a given-up call, a process that lives) cannot be read',
  },
  OPTION_REFUSED: { ...refused, when: 'An option of a call would break the order of waits, or cannot work' },
  PAYLOAD_TOO_LARGE: {
    ...refused,
    when: 'An input or a result is larger than `payloadBytesMax`; a result that is was applied (`applied`)',
  },
  QUEUE_STOPPED: {
    ...later,
    when: 'The queues or the worker are stopping or stopped and take no more work: another process may',
  },
  REDIS_SETTING: {
    ...refused,
    when: 'Redis is older than 6.2, is a replica, or its `maxmemory-policy` is not `noeviction`',
  },
  REDIS_TIMEOUT: { ...unknown, when: 'Redis did not answer in time: a push may have been added' },
  REDIS_UNREACHABLE: {
    ...later,
    when: 'Redis could not be reached at the start, or when the result of a push was read (`unknown`)',
  },
  REPLY_INVALID: { ...unknown, when: 'A reply that came for a call cannot be read' },
  RESULT_INVALID: {
    outcome: 'applied',
    transient: false,
    when: "The handler's result does not fit the job's schema, or is not JSON: the work itself was done",
  },
  RESULT_LOST: { ...unknown, when: 'Neither a reply nor the record of the job can be found any more' },
  RETRY_DIVERGED: {
    ...refused,
    when: 'A body of a transaction that ran again made another call in the place of one that an earlier attempt had made',
  },
  SEND_FAILED: { ...unknown, when: 'BullMQ or Redis refused a job as it was added' },
} as const satisfies Record<string, ErrorSpec>

export type QueueErrorCode = keyof typeof queueErrors

export const queueError = errorFactory(queueErrors)
