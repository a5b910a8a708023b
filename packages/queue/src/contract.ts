import { hasCode } from '@strata/db-context'
import type { Job } from 'bullmq'
import type { Handling } from './handlers.ts'
import { checkPayload } from './payload.ts'
import { Refusal } from './refusal.ts'
import { queueError } from './registry.ts'
import { checkOutgoing, printIssues, read } from './schema.ts'

/** BullMQ stores an empty object for data that is undefined. */
const isEmpty = (data: unknown) => typeof data === 'object' && data !== null && Object.keys(data).length === 0

/** What the handler gets: the output of the job's input schema. @throws INPUT_INVALID */
export async function readInput({ job: definition }: Handling, job: Job): Promise<unknown> {
  const checked = await read(definition.input, job.data)
  if (!checked.issues) return checked.value
  if (isEmpty(job.data)) {
    const absent = await read(definition.input, undefined)
    if (!absent.issues) return absent.value
  }
  const message = `Input of ${job.name} (${job.id}) does not fit: ${printIssues(checked.issues)}`
  const details = { job: job.name, id: job.id, issues: checked.issues }
  throw new Refusal(queueError('INPUT_INVALID', message, { details }))
}

/** The result travels as the handler gave it; the caller reads it by the schema. @throws RESULT_INVALID, PAYLOAD_TOO_LARGE */
export async function checkResult(
  { job: definition }: Handling,
  job: Job,
  { value, bytesMax }: { value: unknown; bytesMax: number },
): Promise<void> {
  const issues = await checkOutgoing(definition.output, value)
  if (issues.length === 0) {
    return refuseLarge({ kind: 'Result', job: job.name, id: job.id }, value, { bytesMax, outcome: 'applied' })
  }
  const message = `Result of ${job.name} (${job.id}) does not fit: ${printIssues(issues)}`
  throw new Refusal(queueError('RESULT_INVALID', message, { details: { job: job.name, id: job.id, issues } }))
}

/** As a refusal: the job would not be smaller the next time. */
function refuseLarge(...[what, value, limit]: Parameters<typeof checkPayload>): void {
  try {
    checkPayload(what, value, limit)
  } catch (error) {
    throw hasCode(error, 'PAYLOAD_TOO_LARGE') ? new Refusal(error) : error
  }
}
