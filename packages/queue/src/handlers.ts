import { dbContextError } from '@strata/db-context'
import type { Job } from 'bullmq'
import type { HandlerInput, HandlerResult, JobDefinition } from './job-definition.ts'

export interface HandlerContext {
  /** Aborted at the deadline of the job, when its caller's time is up, and when the worker stops for good. */
  readonly signal: AbortSignal
  /** BullMQ's job: id, progress, logs, attempts. */
  readonly job: Job
}

/** Runs a job. It may run more than once: after a crash, after a lost lock, after a failed attempt. */
export type Handler<J extends JobDefinition> = (
  input: HandlerInput<J>,
  context: HandlerContext,
) => Promise<HandlerResult<J>>

export interface Handling {
  readonly job: JobDefinition
  readonly handler: (input: unknown, context: HandlerContext) => Promise<unknown>
}

/** The handlers of a worker, by queue and job. */
export class Handlers {
  readonly #byQueue = new Map<string, Map<string, Handling>>()

  /** @throws CONFIG for a second handler of one job */
  add(handling: Handling): void {
    const { name, queue } = handling.job
    const jobs = this.#byQueue.get(queue) ?? new Map<string, Handling>()
    if (jobs.has(name)) throw dbContextError('CONFIG', `Job ${name} of queue ${queue} has a handler already`)
    this.#byQueue.set(queue, jobs.set(name, handling))
  }

  get queues(): string[] {
    return [...this.#byQueue.keys()]
  }

  serves(queue: string): boolean {
    return this.#byQueue.has(queue)
  }

  find(queue: string, name: string): Handling | undefined {
    return this.#byQueue.get(queue)?.get(name)
  }
}
