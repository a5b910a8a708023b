import type { JobDefinition } from './job-definition.ts'
import { queueError } from './registry.ts'
import type { Reply } from './reply.ts'
import { printIssues, read } from './schema.ts'
import { decodeError, isStrataWire, keepRemoteStack, type WireError } from './wire-error.ts'

/**
 * Makes a reply the caller's result: the value read by the job's output schema, or the error of the handler. A StrataError
 * arrives as itself; any other error as the cause of JOB_FAILED.
 */
export async function receive(job: JobDefinition, id: string, reply: Reply): Promise<unknown> {
  if (!reply.ok) throw receiveError(job, id, reply.error)
  const checked = await read(job.output, reply.value)
  if (!checked.issues) return checked.value
  // A record of BullMQ's says null for undefined.
  if (reply.value === null) {
    const absent = await read(job.output, undefined)
    if (!absent.issues) return absent.value
  }
  throw queueError('RESULT_INVALID', `Result of ${job.name} (${id}) does not fit: ${printIssues(checked.issues)}`, {
    details: { job: job.name, id, issues: checked.issues },
  })
}

function receiveError(job: JobDefinition, id: string, wire: WireError): Error {
  const error = decodeError(wire)
  if (isStrataWire(wire)) return error
  const details = { job: job.name, id, name: wire.name, code: wire.code, labels: wire.labels }
  const failed = queueError('JOB_FAILED', `Job ${job.name} (${id}) failed: ${wire.message}`, { details, cause: error })
  return keepRemoteStack(failed, wire.stack)
}
