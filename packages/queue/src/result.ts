import { late, within } from './bound.ts'
import type { JobDefinition } from './job-definition.ts'
import { queueError } from './registry.ts'
import type { Reply } from './reply.ts'
import { type Checked, printIssues, read } from './schema.ts'
import { decodeError, isStrataWire, keepRemoteStack, type WireError } from './wire-error.ts'

/**
 * Makes a reply the caller's result: the value read by the job's output schema, or the error of the handler. A StrataError
 * arrives as itself; any other error as the cause of JOB_FAILED.
 */
export async function receive(
  job: JobDefinition,
  id: string,
  { reply, withinMs }: { reply: Reply; withinMs: number },
): Promise<unknown> {
  if (!reply.ok) throw receiveError(job, id, reply.error)
  const end = await within(withinMs, readResult(job, reply.value))
  const checked = end === late ? { issues: [tooSlow(withinMs)] } : end
  if (!checked.issues) return checked.value
  throw queueError('RESULT_INVALID', `Result of ${job.name} (${id}) does not fit: ${printIssues(checked.issues)}`, {
    details: { job: job.name, id, issues: checked.issues },
  })
}

async function readResult(job: JobDefinition, value: unknown): Promise<Checked<unknown>> {
  const checked = await read(job.output, value)
  if (!checked.issues || value !== null) return checked
  // A record of BullMQ's says null for undefined.
  const absent = await read(job.output, undefined)
  return absent.issues ? checked : absent
}

const tooSlow = (withinMs: number) => ({
  path: '$',
  message: `Schema did not tell within ${Math.round(withinMs)} ms whether it fits`,
})

function receiveError(job: JobDefinition, id: string, wire: WireError): Error {
  const error = decodeError(wire)
  if (isStrataWire(wire)) return error
  const details = { job: job.name, id, name: wire.name, code: wire.code, labels: wire.labels }
  const failed = queueError('JOB_FAILED', `Job ${job.name} (${id}) failed: ${wire.message}`, { details, cause: error })
  return keepRemoteStack(failed, wire.stack)
}
