import { Job, type JobsOptions, type Queue } from 'bullmq'
import { backoffRefused, isKnownBackoff } from './backoff.ts'
import { outside } from './outside.ts'
import { queueError } from './registry.ts'

/** BullMQ's own check of a job, which it would make as it adds it. */
class Probe extends Job {
  check(): void {
    this.validateOptions(this.asJSON())
  }
}

/**
 * Refuses at once what BullMQ would refuse later: a push that waits for a commit is sent when nothing can be undone any more,
 * and a job refused then would be lost. @throws SEND_FAILED, OPTION_REFUSED (`not-applied`)
 */
export function checkJob(
  queue: Queue,
  { name, data, options }: { readonly name: string; readonly data: unknown; readonly options: JobsOptions },
): void {
  if (!isKnownBackoff(options.backoff)) throw backoffRefused(name, options.backoff)
  try {
    outside(() => new Probe(queue, name, data, options).check())
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw queueError(
      'SEND_FAILED',
      `Job ${name} could not be added after the commit, so it is refused now: ${reason}`,
      {
        outcome: 'not-applied',
        details: { job: name, lane: queue.name },
        cause,
      },
    )
  }
}
