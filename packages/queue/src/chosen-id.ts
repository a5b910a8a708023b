import type { JobsOptions } from 'bullmq'
import { deduplicationClaim, jobIdClaim } from './claim.ts'
import type { JobDefinition } from './job-definition.ts'
import { queueError } from './registry.ts'

const idLengthMax = 256

/**
 * What makes a call the same as another: the job id or the deduplication id that its caller chose; undefined for neither.
 *
 * @throws OPTION_REFUSED
 */
export function chooseClaim(
  job: JobDefinition,
  jobId: string | undefined,
  deduplication: JobsOptions['deduplication'],
): string | undefined {
  if (deduplication === undefined) return jobId === undefined ? undefined : jobIdClaim(checkJobId(job, jobId))
  const { id, ...others } = deduplication
  const given = Object.entries(others).find(([, value]) => value !== undefined && value !== false)
  if (given) {
    const to = 'only id: the others put calls off, or take away what somebody waits for'
    throw refused(job, { option: `deduplication.${given[0]}`, got: given[1], to })
  }
  if (jobId !== undefined) {
    throw refused(job, { option: 'jobId', got: jobId, to: 'no job id beside a deduplication id' })
  }
  return deduplicationClaim(checkLength(job, 'deduplication.id', id))
}

/** As BullMQ refuses them, but before anything is sent. */
function checkJobId(job: JobDefinition, jobId: string): string {
  if (!jobId.includes(':') && !/^\d+$/.test(jobId)) return checkLength(job, 'jobId', jobId)
  throw refused(job, { option: 'jobId', got: jobId, to: "an id without ':' that is not a number" })
}

function checkLength(job: JobDefinition, option: string, id: string): string {
  if (typeof id === 'string' && id.length > 0 && id.length <= idLengthMax) return id
  throw refused(job, { option, got: String(id).slice(0, 40), to: `1 to ${idLengthMax} characters` })
}

function refused(job: JobDefinition, { option, got, to }: { option: string; got: unknown; to: string }) {
  return queueError('OPTION_REFUSED', `Option ${option} of a call of ${job.name} is ${String(got)}, expected ${to}`, {
    details: { job: job.name, option, got, expected: to },
  })
}
