import type { Model, Move } from './exploration.ts'
import { Numbers } from './numbers.ts'

/** Far above what a model of a handful of actors has: one that grows past it has forgotten to bound something. */
const statesMax = 16_000_000

/** The states that an exploration has come to, by number. */
export class Found<State> {
  readonly #model: Model<State>
  readonly #byKey = new Map<string, number>()
  /** Those that have not been looked at; of the others there are only numbers. */
  readonly #waiting = new Map<number, State>()
  /** In the order in which they were come to, by how many faults it took. */
  readonly #queues: number[][] = []
  readonly #faults = new Numbers(Uint8Array)
  readonly #from = new Numbers(Uint32Array)
  readonly #ends: number[] = []
  /** Where the steps from each state lead; those of one state follow one another. */
  readonly #steps = new Numbers(Uint32Array)
  readonly #stepsAt = new Numbers(Uint32Array)
  readonly #stepsCount = new Numbers(Uint8Array)
  moves = 0

  constructor(model: Model<State>) {
    this.#model = model
    this.#visit(model.start, 0, 0)
  }

  get states(): number {
    return this.#byKey.size
  }

  faultsOf(number: number): number {
    return this.#faults.at(number)
  }

  /** Those that are reached by so many faults, and not by fewer; while it is read, more may come. */
  *after(faults: number): Generator<number> {
    for (const number of this.#queues[faults] ?? []) if (this.#faults.at(number) === faults) yield number
  }

  take(number: number): State {
    const state = this.#waiting.get(number) as State
    this.#waiting.delete(number)
    if (this.#model.isEnd(state)) this.#ends.push(number)
    this.#stepsAt.set(number, this.#steps.length)
    return state
  }

  /** A move from the state that was taken last. */
  add(from: number, { next, kind }: Move<State>): void {
    this.moves += 1
    const number = this.#visit(next, from, this.#faults.at(from) + (kind === 'fault' ? 1 : 0))
    if (kind !== 'step') return
    this.#steps.set(this.#steps.length, number)
    this.#stepsCount.set(from, this.#stepsCount.at(from) + 1)
  }

  /** A state from which no end is reached by steps: the first. */
  stuck(): number | undefined {
    const canEnd = new Uint8Array(this.states)
    for (const number of this.#ends) canEnd[number] = 1
    // Most steps lead to a later number: a few rounds are enough.
    for (let isChanged = true; isChanged; ) {
      isChanged = false
      for (let number = this.states - 1; number >= 0; number--) {
        if (canEnd[number] === 1 || !this.#leadsTo(number, canEnd)) continue
        canEnd[number] = 1
        isChanged = true
      }
    }
    const number = canEnd.indexOf(0)
    return number < 0 ? undefined : number
  }

  /** Goes the way again, since no label is kept. */
  trace(number: number): string[] {
    const way: number[] = []
    for (let at = number; at > 0; at = this.#from.at(at)) way.unshift(at)
    const labels: string[] = []
    let state = this.#model.start
    for (const at of way) {
      for (const { label, next } of this.#model.moves(state, true)) {
        if (this.#byKey.get(this.#model.key(next)) !== at) continue
        labels.push(label)
        state = next
        break
      }
    }
    return labels
  }

  #leadsTo(number: number, canEnd: Uint8Array): boolean {
    const first = this.#stepsAt.at(number)
    const end = first + this.#stepsCount.at(number)
    for (let at = first; at < end; at++) if (canEnd[this.#steps.at(at)] === 1) return true
    return false
  }

  #visit(state: State, from: number, faults: number): number {
    const key = this.#model.key(state)
    const known = this.#byKey.get(key)
    if (known !== undefined && this.#faults.at(known) <= faults) return known
    const number = known ?? this.states
    if (number >= statesMax) throw new Error(`Model has more than ${statesMax} states: bound it`)
    if (known === undefined) {
      this.#byKey.set(key, number)
      this.#waiting.set(number, state)
    }
    this.#from.set(number, from)
    this.#faults.set(number, faults)
    this.#queues[faults] ??= []
    this.#queues[faults].push(number)
    return number
  }
}
