import { claimOf, isHeldBy } from './claim.ts'
import { isMet, type Known, knownOf } from './knowledge.ts'
import type { Plain } from './port.ts'
import type { Cause, TransactionRecord } from './record.ts'
import { type Engine, stepMsOf } from './settings.ts'
import { type StepEnd, takeStep } from './steps.ts'
import { isEnd, type TransitionName, type WorkRule } from './table.ts'
import { letGo, readRecord, transitHeld } from './transition.ts'

/** How far somebody who held a claim has brought a transaction. */
export interface Drive {
  /** As it was last seen. */
  readonly record: TransactionRecord
  /**
   * `ended`; `lost`: another has the claim, or had and has ended it; `parked`: only time is missing, recovery goes on;
   * `stuck`: noted for a person; `interrupted`: the database does not answer, or the engine stops.
   */
  readonly how: 'ended' | 'lost' | 'parked' | 'stuck' | 'interrupted'
  readonly error?: unknown
  /** The participant that has not answered. */
  readonly away?: string
}

const pauseMs = 50

/** A participant's clock that is ahead by half a lease finds every step late. */
const latesMax = 5

/** Whoever has taken over writes the record before any document: it is seen at the next look. */
const overtakesMax = 5

/**
 * Does the work of each state and makes the transition after it, until the transaction has ended or the claim is lost. Each step may be
 * done again and each transition compares the token, so it needs to remember nothing, and may be one of several.
 */
export class Coordinator {
  readonly #engine: Engine
  readonly #signal: AbortSignal
  /** Parts, by number, of which an `apply` was sent. */
  readonly #sent = new Set<number>()
  /** Those of which the only one there can be was answered, as written or as not matched: nothing of it is under way. */
  readonly #answered = new Set<number>()
  /** Those of which the only one there can be has found no document: it has not been applied. */
  readonly #absent = new Set<number>()
  #renewedAt: number
  #lates = 0
  #overtakes = 0
  #away: string | undefined
  /** Whether another has made a transition since this one knew. */
  #isBeaten = false
  /** Also where it can renew its claim, it does not try for ever: recovery does, in turns. */
  #failingSince: number | undefined

  constructor(engine: Engine, signal: AbortSignal) {
    this.#engine = engine
    this.#signal = signal
    this.#renewedAt = engine.elapsedMs()
  }

  /** `record` is one whose claim was just granted. */
  async drive(record: TransactionRecord): Promise<Drive> {
    const claim = claimOf(record)
    let current = record
    while (!this.#signal.aborted) {
      const end = await this.#round(current)
      if ('how' in end) return end
      if (isEnd(end.state)) return { record: end, how: this.#isBeaten ? 'lost' : 'ended' }
      if (!isHeldBy(end, claim)) return { record: end, how: 'lost' }
      current = end
    }
    return { record: await this.#letGo(current, {}).catch(() => current), how: 'interrupted' }
  }

  /** The work of one state; where the database does not answer, again and again, for as long as a lease. */
  async #round(record: TransactionRecord): Promise<TransactionRecord | Drive> {
    const work = this.#engine.protocol.work[record.state]
    if (!work) return { record, how: 'lost' }
    const { elapsedMs, leaseMs, pause } = this.#engine
    try {
      return await this.#work(record, work)
    } catch (error) {
      this.#failingSince ??= elapsedMs()
      if (elapsedMs() - this.#failingSince > leaseMs) {
        const away = this.#away
        const left = await this.#letGo(record, {}).catch(() => record)
        return { record: left, how: 'interrupted', error, ...(away !== undefined && { away }) }
      }
      await pause(pauseMs)
      return (await readRecord(this.#engine, record._id).catch(() => null)) ?? record
    }
  }

  async #work(record: TransactionRecord, work: WorkRule): Promise<TransactionRecord | Drive> {
    this.#away = undefined
    if (this.#engine.elapsedMs() - this.#renewedAt > stepMsOf(this.#engine) / 2)
      return await this.#move(record, 'renew')
    const ends = await Promise.all(
      record.parts.map((part, index) =>
        takeStep(this.#engine, { record, part, index, work, isSole: this.#answered.has(index) }).then(end => {
          this.#note(record, index, end)
          return end
        }),
      ),
    )
    this.#refuseUnclear(record, ends)
    const overtaken = ends.find(end => end.kind === 'overtaken')
    if (overtaken) return await this.#reload(record, overtaken.cause)
    if (ends.some(end => end.kind === 'late')) return await this.#again(record)
    this.#lates = 0
    this.#overtakes = 0
    const next = await this.#conclude(record, work, knownOf(this.#engine, record, ends))
    // Not after a renewal: where only the records' database answers, it would try for ever.
    this.#failingSince = undefined
    return next
  }

  /**
   * Of a first claim and a first `apply` only, which is sent once: of another that was sent before nobody knows where it is. One that was
   * refused leaves no lasting tombstone, or as many refusals would crowd a document.
   */
  #note({ state, token }: TransactionRecord, index: number, end: StepEnd): void {
    if (state !== 'pending') return
    const isSole = !this.#sent.has(index) && token === 1 && 'isSole' in end && end.isSole === true
    this.#sent.add(index)
    this.#answered.delete(index)
    this.#absent.delete(index)
    if (isSole) (end.kind === 'refused' && end.isMissing ? this.#absent : this.#answered).add(index)
  }

  /** @throws where a step has no end that could be concluded from */
  #refuseUnclear(record: TransactionRecord, ends: readonly StepEnd[]): void {
    const unclear = ends.find(end => end.kind === 'unclear')
    if (!unclear) return
    if (unclear.error !== undefined) this.#away = record.parts[ends.indexOf(unclear)]?.participant
    throw unclear.error ?? new Error('A participant changes all the time')
  }

  async #conclude(
    record: TransactionRecord,
    work: WorkRule,
    known: readonly Known[],
  ): Promise<TransactionRecord | Drive> {
    const { transitions } = this.#engine.protocol
    if (work.refused && isMet(transitions[work.refused].needs, known)) {
      const missing = [...this.#absent]
      return await this.#move(record, work.refused, { cause: refusalOf(known), missing })
    }
    if (!isMet(transitions[work.confirmed].needs, known)) return await this.#stick(record, causeOf(known))
    const isMissing = known.some(({ kind }) => kind === 'missing')
    const next = await this.#move(record, work.confirmed, {}, isMissing)
    // It is still held, and has not moved: what may come late has to be waited for, without keeping anybody.
    if (!('how' in next) && isMissing && next.state === record.state) return await this.#park(next)
    return next
  }

  async #move(
    record: TransactionRecord,
    name: TransitionName,
    set = {},
    isMissing = false,
  ): Promise<TransactionRecord | Drive> {
    const asked = this.#engine.elapsedMs()
    const at = { id: record._id, claim: claimOf(record), set, isMissing }
    const { record: next, isMade } = await transitHeld(this.#engine, name, at)
    this.#isBeaten ||= !isMade
    if (name === 'renew') this.#renewedAt = asked
    return next ?? { record, how: 'lost' }
  }

  async #again(record: TransactionRecord): Promise<TransactionRecord | Drive> {
    this.#lates += 1
    if (this.#lates <= latesMax) return await this.#move(record, 'renew')
    const error = new Error(
      'A participant finds every step late: its clock is ahead, or statements wait for connections, by half of leaseMs or more',
    )
    return { record: await this.#letGo(record, {}), how: 'interrupted', error }
  }

  async #reload(record: TransactionRecord, why: Cause): Promise<TransactionRecord | Drive> {
    this.#overtakes += 1
    if (this.#overtakes > overtakesMax) return await this.#stick(record, why)
    await this.#engine.pause(pauseMs)
    return (await readRecord(this.#engine, record._id)) ?? { record, how: 'lost' }
  }

  async #stick(record: TransactionRecord, why: Cause): Promise<Drive> {
    const stuck = { $mergeObjects: [{ $literal: why }, { at: '$$NOW' }] }
    return { record: await this.#letGo(record, { stuck }), how: 'stuck' }
  }

  async #park(record: TransactionRecord): Promise<Drive> {
    return { record: await this.#letGo(record, {}), how: 'parked' }
  }

  async #letGo(record: TransactionRecord, set: Plain): Promise<TransactionRecord> {
    return (await letGo(this.#engine, record, set)) ?? record
  }
}

/** The cause of a cancellation: what a guard says tells more than that a document is not there. */
const refusalOf = (known: readonly Known[]): Cause | undefined =>
  (known.find(each => each.kind === 'refused' && !each.isMissing) ?? known.find(each => each.kind === 'refused'))?.cause

/** What a person has to look at: a step that has to be made, and cannot. */
const causeOf = (known: readonly Known[]): Cause =>
  known.find(each => each.kind !== 'confirmed' && each.kind !== 'missing')?.cause ?? unmet

/** No rule of the default protocol comes to it. */
const unmet: Cause = { code: 'TWO_PHASE_STEP_REFUSED', message: 'The protocol allows no transition from here' }
