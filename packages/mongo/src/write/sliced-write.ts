import { setTimeout as sleep } from 'node:timers/promises'
import { remainingMs } from '@strata/db-context'
import { classify, isServerError } from '../classify.ts'
import type { MongoBinding } from '../door.ts'
import { countSlice, measured } from '../metrics.ts'
import { type Call, invoke, type MongoTarget, whatOf } from '../statement/call.ts'
import { isTimeLimit, isUnconfirmed, refusalIn, type TimeLimit, translate } from '../translate.ts'
import { isUnacknowledged } from './acknowledged.ts'
import { confirm } from './confirm.ts'
import {
  afterPause,
  afterSlice,
  nextSlice,
  notBegun,
  type Slice,
  type SliceBounds,
  type SliceProgress,
  sliceMsFirst,
} from './slice.ts'
import { lockTimeout } from './tries.ts'
import { documentOf, turnOf } from './turn-of.ts'
import type { EndTurn } from './turns.ts'
import { Writing } from './writing.ts'

/** Between two tries of a write for which the server had no ticket: 25 to 50 ms. */
const ticketPauseMs = 50

/**
 * True for a write that may be given up by the server and sent again: one document, outside a transaction, with its answer
 * awaited. Not behind a mongos or a load balancer, where one shard may have applied it when another gives up. Not an upsert,
 * which does not heed its time limit: it goes as a transaction of its own.
 */
export function isSliceable({ pool, transaction }: MongoBinding, { door, options }: Call): boolean {
  if (transaction || pool.topology !== 'replica-set' || !door.scope.isolated) return false
  return !(options?.['upsert'] || options?.['explain'] || isUnacknowledged(options))
}

/**
 * Sends a write in slices until the document it waits for comes free. Each slice is a statement of its own, so the
 * connection goes back in between and the write queues again behind those that came meanwhile: were it kept, the commit
 * that frees the document could starve behind it. Of several blocked by one document only one is sent.
 *
 * @throws LOCK_TIMEOUT after `lockWaitMs` of the server's time, DEADLINE_EXCEEDED, OPERATION_TIMEOUT (all `not-applied`)
 */
export async function runSliced(binding: MongoBinding, call: Call): Promise<unknown> {
  const write = new SlicedWrite(binding, call)
  let gotThrough = false
  try {
    const value = await write.run()
    gotThrough = true
    return value
  } finally {
    write.leave(gotThrough)
  }
}

type SliceRun =
  | { readonly value: unknown }
  | { readonly progress: SliceProgress; readonly cause: unknown; readonly pauseMs?: number }

class SlicedWrite {
  readonly #binding: MongoBinding
  readonly #call: Call
  readonly #bounds: SliceBounds
  readonly #writing: Writing
  #progress = notBegun
  /** Set while this is the one write that is sent for its blocked document. */
  #line: string | undefined

  constructor(binding: MongoBinding, call: Call) {
    const { door, options } = call
    this.#binding = binding
    this.#call = call
    this.#writing = new Writing(binding, call)
    this.#bounds = {
      lockWaitMs: door.scope.lockWaitMs,
      operationMs: door.settings.operationTimeoutMs,
      userMs: options?.maxTimeMS,
    }
  }

  async run(): Promise<unknown> {
    const wait = this.#binding.poolWait?.()
    if (this.#call.door.blocked.size > 0) await this.#queue({ isBlocked: false })
    for (;;) {
      const run = await this.#binding.statement(whatOf(this.#call), target => this.#slice(target), wait)
      if ('value' in run) {
        this.#writing.done(run.value)
        return run.value
      }
      this.#progress = run.progress
      if (run.pauseMs === undefined) {
        this.#check(this.#progress.spentMs, run.cause)
        await this.#queue({ isBlocked: true })
      } else await sleep(run.pauseMs)
    }
  }

  /** @throws ANCESTOR_LOCK, LOCK_BLOCKED */
  #check(blockedMs: number, cause: unknown): void {
    const end = this.#writing.heldUp({ blockedMs, isOver: false, cause })
    if (end) throw end
  }

  /** Lets the writes go that wait behind this one. */
  leave(gotThrough: boolean): void {
    if (this.#line !== undefined) this.#call.door.blocked.leave(this.#line, gotThrough)
  }

  /** Waits, with nothing kept, while another write of this process is sent for the same document. @throws LOCK_TIMEOUT */
  async #queue({ isBlocked }: { isBlocked: boolean }): Promise<void> {
    const key = documentOf(this.#call)
    if (key === undefined || this.#line !== undefined) return
    const { blocked } = this.#call.door
    if (isBlocked && blocked.tryOpen(key)) {
      this.#line = key
      return
    }
    if (!blocked.has(key)) return
    if (!isBlocked) this.#check(sliceMsFirst, undefined)
    const begun = performance.now()
    const turn = await blocked.wait(key, this.#leftMs)
    this.#progress = afterPause(this.#progress, performance.now() - begun)
    if (turn === 'first') this.#line = key
    if (turn === 'late') throw this.#lockTimeout(undefined)
  }

  /** One slice, in its turn among the writes of this process. */
  async #slice(target: MongoTarget): Promise<SliceRun> {
    const turn = turnOf(this.#call, target)
    const end = turn instanceof Promise ? await this.#turn(turn) : turn
    try {
      return await this.#send(target)
    } finally {
      end?.()
    }
  }

  /** The wait for it is one for the document, too. */
  async #turn(turn: Promise<EndTurn | undefined>): Promise<EndTurn | undefined> {
    const begun = performance.now()
    const end = await turn
    this.#progress = afterPause(this.#progress, performance.now() - begun)
    return end
  }

  async #send(target: MongoTarget): Promise<SliceRun> {
    const call = this.#call
    const slice = nextSlice(this.#progress, this.#bounds, remainingMs(target.deadline))
    const limit: TimeLimit = { ms: slice.ms, of: limitOf(slice) }
    const { election } = target.pool
    const begun = performance.now()
    try {
      const run = () => target.pool.send(target.activity, () => invoke(call, target, limit))
      return { value: await measured(call, target.activity, run) }
    } catch (thrown) {
      const error = refusalIn(thrown)
      if (isUnconfirmed(error)) return { value: await confirm(call, target, { error, election }) }
      if (isTimeLimit(error) && (slice.onExpiry === 'again' || slice.onExpiry === 'lock')) {
        countSlice(call, target.activity, slice.onExpiry)
        if (slice.onExpiry === 'lock') throw this.#lockTimeout(error)
        return { progress: afterSlice(this.#progress, slice), cause: error }
      }
      if (isServerError(error) && classify(error).conflict) return this.#refused(error, performance.now() - begun)
      throw translate(error, { what: whatOf(call), activity: target.activity, limit, outcomeAtLimit: 'not-applied' })
    }
  }

  /** The server had no ticket for it, or met a conflict that it does not wait out itself: it has applied nothing. */
  #refused(error: unknown, spentMs: number): SliceRun {
    if (this.#leftMs <= spentMs) throw this.#lockTimeout(error)
    const pauseMs = ticketPauseMs * (0.5 + Math.random() / 2)
    return { progress: afterPause(this.#progress, spentMs + pauseMs), cause: error, pauseMs }
  }

  get #leftMs(): number {
    const { lockWaitMs, operationMs, userMs } = this.#bounds
    return Math.max(0, Math.min(lockWaitMs, operationMs, userMs || lockWaitMs) - this.#progress.spentMs)
  }

  #lockTimeout(cause: unknown) {
    const blockedMs = this.#progress.spentMs
    const end = this.#writing.heldUp({ blockedMs, isOver: true, cause })
    return end ?? lockTimeout({ what: whatOf(this.#call), lockWaitMs: this.#call.door.scope.lockWaitMs, cause })
  }
}

const limitOf = ({ onExpiry }: Slice): TimeLimit['of'] =>
  onExpiry === 'user' || onExpiry === 'deadline' ? onExpiry : 'operation'
