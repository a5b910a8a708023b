import { type Deadline, deadlineIn, hasCode, type OutgoingCall, remainingMs, StrataError } from '@strata/db-context'
import type { JobDefinition } from './job-definition.ts'
import type { Lane } from './lane.ts'
import { callDuration } from './metrics.ts'
import { queueError } from './registry.ts'
import { encodeReply, type Reply, readReply } from './reply.ts'
import { receive } from './result.ts'

/** Why a call is given up before its result is there. */
export type GiveUp = { readonly why: 'timeout' | 'aborted' | 'stopped'; readonly cause?: unknown }

/** One call of this process that waits for its result: what `queues.waiting()` shows. */
export interface WaitingCall {
  /** The id of the job. */
  readonly id: string
  readonly job: string
  readonly level: number
  readonly lane: string
  /** The outermost work of the chain, and the unit of work that waits. */
  readonly root: string
  readonly unit: string
  /** On `performance.now()` of this process. */
  readonly since: number
}

/** The worker's clock and this one differ by less; see RedisClock. */
const clockErrorMs = 20

/** Worker and caller reach the same deadline together: whichever speaks first, the caller hears CALL_TIMEOUT. */
const workerTimeouts = new Set<unknown>(['CALL_EXPIRED', 'DEADLINE_EXCEEDED'])

/** What a result's schema may take beyond the deadline: its own code may wait for anything. */
const readMsMax = 500

/** `claiming` while a chosen id may have joined another call's job, `sent` from when the own job may exist, `added` once Redis said so. */
export type CallPhase = 'preparing' | 'claiming' | 'sent' | 'added'

export interface CallOptions {
  readonly id: string
  readonly jobId: string
  readonly job: JobDefinition
  readonly lane: Lane
  readonly plan: OutgoingCall
  readonly deadlineMs: number
  readonly signals: readonly AbortSignal[]
  /** True where the result may be asked for again. */
  readonly keepsReply: boolean
  /** Called once at the deadline or the abort, if no result came first. */
  readonly onGiveUp: (call: Call, giveUp: GiveUp) => void
  readonly onSettled: (call: Call) => void
}

/** Tells the transactions around a call what its failure says: that nothing was done, and that documents were the reason. */
export function noteFailure(plan: OutgoingCall, error: unknown): void {
  if (!(error instanceof StrataError) || error.outcome !== 'not-applied') return
  plan.unsent()
  if (error.code === 'LOCK_TIMEOUT') plan.heldUp(error)
}

/** A call that waits. It settles exactly once: by the first reply, or by the error of whoever gave it up. */
export class Call {
  readonly id: string
  /** Another's where the call joined a job that was there. */
  jobId: string
  readonly job: JobDefinition
  lane: Lane
  readonly plan: OutgoingCall
  /** The hash of those that wait for the same job; absent for an id that nobody chose. */
  claimKey: string | undefined
  readonly since = performance.now()
  readonly deadlineMs: number
  readonly promise: Promise<unknown>
  phase: CallPhase = 'preparing'
  /** Which server may have the job: as it was known when the call was first sent there. */
  server: string | undefined
  /** The job's record may have lost what was written to it: then nothing that it says proves that a handler did not begin. */
  isDoubtful = false
  /** The next look at the job's record, on `performance.now()`. */
  lookAt = Number.POSITIVE_INFINITY
  looks = 0
  /** Looks that found no process that serves the lane, one after the other. */
  unserved = 0
  /** Looks that found no record. */
  missed = 0
  readonly #deadline: Deadline
  readonly #options: CallOptions
  readonly #settle: { resolve: (value: unknown) => void; reject: (error: unknown) => void }
  readonly #timer: NodeJS.Timeout
  readonly #onAbort: () => void
  #open = true
  /** As text, because whoever was given the value may have changed it. */
  #kept: string | undefined

  constructor(options: CallOptions) {
    this.id = options.id
    this.jobId = options.jobId
    this.job = options.job
    this.lane = options.lane
    this.plan = options.plan
    this.deadlineMs = options.deadlineMs
    this.#options = options
    this.#deadline = deadlineIn(options.deadlineMs)
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    this.promise = promise
    this.#settle = { resolve, reject }
    this.#onAbort = () => options.onGiveUp(this, { why: 'aborted', cause: this.#abortReason() })
    this.#timer = setTimeout(() => options.onGiveUp(this, { why: 'timeout' }), Math.ceil(options.deadlineMs))
    for (const signal of options.signals) signal.addEventListener('abort', this.#onAbort, { once: true })
    if (options.signals.some(({ aborted }) => aborted)) this.#onAbort()
  }

  get isOpen(): boolean {
    return this.#open
  }

  get remainingMs(): number {
    return remainingMs(this.#deadline)
  }

  become(phase: CallPhase, server: string): void {
    this.phase = phase
    this.server ??= server
  }

  /** Ends the call with a reply, and the text of it where there is one; a second one is ignored. */
  deliver(given: Reply, text?: string): void {
    const reply = this.isDoubtful ? asDoubtful(given) : given
    if (!reply.ok && this.remainingMs < clockErrorMs && workerTimeouts.has(reply.error.code)) {
      const isUntouched = reply.error.code === 'CALL_EXPIRED' && reply.error.outcome === 'not-applied'
      this.fail(this.givenUp({ why: 'timeout' }, isUntouched ? 'not-applied' : 'unknown'))
    }
    if (!this.#close()) return
    if (this.#options.keepsReply) this.#kept = (reply === given ? text : undefined) ?? encodeReply(reply)
    receive(this.job, this.jobId, { reply, withinMs: this.remainingMs + readMsMax }).then(
      value => {
        this.#measure('ok')
        this.#settle.resolve(value)
      },
      (error: unknown) => this.#fail(error),
    )
  }

  /** Waits for the result, and makes it anew: nobody else has it. For calls that keep their replies. */
  async again(): Promise<unknown> {
    const value = await this.promise
    const reply = this.#kept === undefined ? undefined : readReply(this.#kept)
    return reply ? await receive(this.job, this.jobId, { reply, withinMs: this.remainingMs + readMsMax }) : value
  }

  fail(error: unknown): void {
    if (this.#close()) this.#fail(error)
  }

  /** To the transactions around it: from now on the job may exist. */
  noteSent(): void {
    this.plan.sent({ isStep: this.#options.keepsReply })
  }

  describe(): WaitingCall {
    const { root, unit, level } = this.plan
    return { id: this.jobId, job: this.job.name, level, lane: this.lane.name, root, unit, since: this.since }
  }

  /** The error of a call that ended without a reply. */
  givenUp({ why, cause }: GiveUp, found: 'not-applied' | 'unknown'): Error {
    const outcome = this.isDoubtful ? 'unknown' : found
    const waitedMs = Math.round(performance.now() - this.since)
    const details = { ...this.describe(), since: undefined, deadlineMs: Math.round(this.deadlineMs), waitedMs }
    const became =
      outcome === 'not-applied' ? 'it was not started and will not be' : 'it may have run, or run on: ask the data'
    const what = `Call of ${this.job.name} (${this.jobId}) at level ${this.plan.level}`
    if (why === 'timeout') {
      const message = `${what} had no result within ${Math.round(this.deadlineMs)} ms: ${became}`
      return queueError('CALL_TIMEOUT', message, { outcome, details })
    }
    const by = why === 'stopped' ? 'as its process stopped taking work' : 'by its signal'
    return queueError('CALL_ABORTED', `${what} was given up ${by}: ${became}`, { outcome, details, cause })
  }

  #close(): boolean {
    if (!this.#open) return false
    this.#open = false
    clearTimeout(this.#timer)
    for (const signal of this.#options.signals) signal.removeEventListener('abort', this.#onAbort)
    this.#options.onSettled(this)
    return true
  }

  #fail(error: unknown): void {
    noteFailure(this.plan, error)
    this.#measure(
      error instanceof Error && 'code' in error && hasCode(error, String(error.code)) ? error.code : 'ERROR',
    )
    this.#settle.reject(error)
  }

  #measure(result: string): void {
    callDuration.record((performance.now() - this.since) / 1000, { job: this.job.name, level: this.plan.level, result })
  }

  #abortReason(): unknown {
    return this.#options.signals.find(({ aborted }) => aborted)?.reason
  }
}

/** A worker says "not applied" by the same record. */
function asDoubtful(reply: Reply): Reply {
  if (reply.ok || reply.error.outcome !== 'not-applied') return reply
  return { ...reply, error: { ...reply.error, outcome: 'unknown' } }
}
