import type { Job } from 'bullmq'
import { late, within } from './bound.ts'
import type { Envelope } from './envelope.ts'
import type { GivenUp } from './given-up.ts'
import type { Lane } from './lane.ts'
import { leaks } from './metrics.ts'
import { queueError } from './registry.ts'

/** By how much this process may be wrong about Redis's clock; see RedisClock. */
const clockErrorMs = 20

/** A job that runs in this process: what `worker.activities()` shows. */
export interface RunningJob {
  readonly id: string
  readonly job: string
  readonly level: number
  /** The outermost work of its chain: itself for a push. */
  readonly root: string
  readonly lane: string
  /** On `performance.now()` of this process. */
  readonly since: number
}

/** One run of a job, which occupies a slot of a lane until its handler has ended, or is left behind. */
export class Run {
  readonly running: RunningJob
  /** The call that sent it; undefined for a push. */
  readonly #callId: string | undefined
  /** On Redis's clock. */
  readonly #begunAt: number
  readonly #abort = new AbortController()
  #handler: Promise<unknown> | undefined

  constructor(lane: Lane, job: Job, { envelope, begunAt }: { envelope: Envelope; begunAt: number }) {
    this.#begunAt = begunAt
    const id = job.id ?? ''
    const isCall = envelope.kind === 'call'
    const root = (isCall && envelope.chain[0]?.id) || id
    this.#callId = isCall ? envelope.callId : undefined
    this.running = { id, job: job.name, level: envelope.level, root, lane: lane.name, since: performance.now() }
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /**
   * Whether nobody waits for this run any more. By its job where the last that waited is not the call that sent it, unless the
   * job was given up before this run: an id may be used again.
   */
  isOf({ callId, job, at }: GivenUp): boolean {
    if (this.#callId === undefined || this.#callId === callId) return this.#callId === callId
    return job?.id === this.running.id && job.lane === this.running.lane && this.#begunAt <= at + clockErrorMs
  }

  /** What it may be named by where it is given up. */
  get names(): string[] {
    const { lane, id } = this.running
    return [...(this.#callId === undefined ? [] : [this.#callId]), `${lane} ${id}`]
  }

  abort(reason: unknown): void {
    this.#abort.abort(reason)
  }

  /** True from the moment in which its handler was called. */
  get hasBegun(): boolean {
    return this.#handler !== undefined
  }

  /** Aborts it with another signal; call the result to untie them. */
  follow(signal: AbortSignal | undefined): () => void {
    const relay = () => this.abort(signal?.reason)
    if (signal?.aborted) relay()
    signal?.addEventListener('abort', relay, { once: true })
    return () => signal?.removeEventListener('abort', relay)
  }

  /** @throws the reason of an abort that came before */
  begin<T>(handler: () => Promise<T>): Promise<T> {
    this.signal.throwIfAborted()
    const begun = handler()
    this.#handler = begun
    return begun
  }

  /**
   * A job that was given up keeps its slot until its handler has ended, so that no more than `slots` ever run. One that goes on
   * for `graceMs` more ignores its signal and may never end: the slot goes to others, and the leak is counted.
   *
   * @throws LEAK
   */
  async outlast(graceMs: number, cutShort: AbortSignal, cause: unknown): Promise<void> {
    if (this.#handler === undefined || cutShort.aborted) return
    const { promise: cut, resolve } = Promise.withResolvers<void>()
    const onCut = () => resolve()
    cutShort.addEventListener('abort', onCut, { once: true })
    const ended = this.#handler.then(
      () => {},
      () => {},
    )
    const end = await within(graceMs, Promise.race([ended, cut]))
    cutShort.removeEventListener('abort', onCut)
    if (end !== late) return
    const { id, job, level, lane } = this.running
    leaks.add(1, { job, level })
    const message =
      `Handler of ${job} (${id}) went on for ${graceMs} ms after its signal was aborted: its slot in lane ${lane} ` +
      'is given to others. Let it heed the signal'
    throw queueError('LEAK', message, { details: { job, id, level, lane, graceMs }, cause })
  }
}
