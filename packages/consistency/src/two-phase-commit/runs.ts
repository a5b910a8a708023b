import { randomUUID } from 'node:crypto'
import { deadlineIn, remainingMs } from '@strata/db-context'
import { outside } from '../outside.ts'
import { Coordinator, type Drive } from './coordinator.ts'
import { interrupted, orInterrupted } from './interrupted.ts'
import { observeEnd } from './metrics.ts'
import type { TransactionRecord } from './record.ts'
import { carryOut } from './resolving.ts'
import type { Engine } from './settings.ts'
import { isEnd } from './table.ts'
import { readRecord, transit } from './transition.ts'

const pauseMsFirst = 20
const pauseMsMax = 500
/** The rest of the time is for letting go of claims. */
const goOnShare = 0.8

/** The drives of one engine: each runs to its end whoever still waits for it. */
export class Runs {
  readonly #engine: Engine
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get isStopped(): boolean {
    return this.#stop.signal.aborted
  }

  /** Works on a transaction whose claim was just granted. */
  drive(record: TransactionRecord): Promise<Drive> {
    return outside(async () => {
      const driving = this.#work(record)
      this.#running.add(driving)
      try {
        const drive = await driving
        if (drive.how === 'ended') observeEnd(drive.record)
        return drive
      } finally {
        this.#running.delete(driving)
      }
    })
  }

  async #work(record: TransactionRecord): Promise<Drive> {
    const { resolving } = record
    if (!resolving) return await new Coordinator(this.#engine, this.#stop.signal).drive(record)
    const ended = await carryOut(this.#engine, record, resolving)
    return ended ? { record: ended, how: 'ended' } : { record, how: 'lost' }
  }

  /** Claims a transaction, if nobody has it, and works on it. @returns null where somebody has */
  async takeUp(record: TransactionRecord): Promise<Drive | null> {
    if (this.isStopped) return null
    const name = record.state === 'initial' ? 'start' : 'take-over'
    const claimed = await transit(this.#engine, name, { id: record._id, claim: { owner: randomUUID() } })
    return claimed && (await this.drive(claimed))
  }

  /**
   * The transaction once it has ended, or as it is at the deadline. Takes it up when whoever has it is gone. The first drive, if there
   * is one, goes on behind the deadline.
   *
   * @throws TWO_PHASE_INTERRUPTED
   */
  async follow(first: TransactionRecord, driving: Promise<Drive> | undefined, deadlineMs: number) {
    if (!driving && isOver(first)) return first
    const { _id: id, state } = first
    return await orInterrupted({ id, state }, () => this.#follow(first, driving, deadlineMs))
  }

  async #follow(first: TransactionRecord, driving: Promise<Drive> | undefined, deadlineMs: number) {
    const deadline = deadlineIn(deadlineMs)
    let drive: Drive | null | undefined = await within(driving, remainingMs(deadline))
    let record = seen(drive) ?? first
    for (let pauseMs = pauseMsFirst; !isOver(record, drive); pauseMs = Math.min(pauseMs * 1.5, pauseMsMax)) {
      const leftMs = remainingMs(deadline)
      if (leftMs > 0) await this.#engine.pause(Math.min(pauseMs, leftMs))
      record = (await readRecord(this.#engine, record._id)) ?? record
      if (isOver(record) || leftMs <= 0 || this.isStopped) return record
      drive = await within(this.takeUp(record), remainingMs(deadline))
      record = seen(drive) ?? record
    }
    return record
  }

  /**
   * Lets what runs go on for most of so long, and gives up the rest: its claims are let go, or run out, and others take it over.
   * `more` is waited for within the same time.
   */
  async stop(deadlineMs: number, more: Promise<unknown> = Promise.resolve()): Promise<void> {
    const deadline = deadlineIn(deadlineMs)
    await within(Promise.allSettled([...this.#running]), deadlineMs * goOnShare)
    this.#stop.abort()
    await within(Promise.allSettled([...this.#running, more]), remainingMs(deadline))
  }
}

/** @returns undefined where it has not ended in time; an error that comes later is the caller's no more */
async function within<T>(work: Promise<T> | undefined, ms: number): Promise<T | undefined> {
  if (!work) return undefined
  const late = Promise.withResolvers<undefined>()
  const timer = setTimeout(() => late.resolve(undefined), Math.max(0, Math.min(ms, 2 ** 31 - 1)))
  work.catch(() => {})
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Whoever waits for it has nothing to wait for: it has ended, or only time or a person can. */
const isOver = ({ state, stuck }: TransactionRecord, drive?: Drive | null) =>
  isEnd(state) || stuck !== undefined || drive?.how === 'parked'

/** @throws TWO_PHASE_INTERRUPTED */
function seen(drive: Drive | null | undefined): TransactionRecord | undefined {
  if (drive?.how === 'interrupted') {
    const { _id: id, state } = drive.record
    throw interrupted({ id, state }, drive.error)
  }
  return drive?.record
}
