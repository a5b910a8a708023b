/** One thing that can happen next. */
export interface Move<State> {
  readonly label: string
  readonly next: State
  /** Something that goes wrong: it may happen at any time, and never has to. */
  readonly isFault: boolean
}

/** A system as far as its interleavings go. */
export interface Model<State> {
  readonly start: State
  /** Everything that can happen next; nothing once all is over. */
  moves(state: State): Iterable<Move<State>>
  /** The same text for states that need not be told apart. */
  key(state: State): string
  /** What must never be so. */
  violation(state: State): string | undefined
  /** Whether all that was begun has ended. */
  isEnd(state: State): boolean
}

export interface Violation {
  readonly text: string
  /** What happened, from the start on: the fewest moves that lead there. */
  readonly trace: readonly string[]
}

export interface Exploration {
  readonly states: number
  readonly moves: number
  readonly violation: Violation | undefined
}

/** Far above what a model of a handful of actors has: one that grows past it has forgotten to bound something. */
const statesMax = 5_000_000

/**
 * Visits every state that a model can be in, breadth first. Besides {@link Model.violation} it finds a state that nobody can leave
 * before the end, and one from which the end cannot be reached any more without a fault.
 */
export function explore<State>(model: Model<State>): Exploration {
  const found = new Found(model)
  for (let at = 0; at < found.states; at++) {
    const state = found.take(at)
    const text = model.violation(state)
    if (text !== undefined) return found.result({ text, trace: found.trace(at) })
    for (const move of model.moves(state)) found.add(at, move)
  }
  const stuck = found.stuck()
  if (stuck === undefined) return found.result(undefined)
  return found.result({ text: 'does not end any more, though nothing goes wrong', trace: found.trace(stuck) })
}

class Found<State> {
  readonly #model: Model<State>
  readonly #numbers: Map<string, number>
  /** Those that have not been looked at; the others are only numbers. */
  readonly #waiting = new Map<number, State>()
  readonly #ends: number[] = []
  /** How each state was first reached. */
  readonly #from: number[] = [-1]
  readonly #labels: string[] = ['']
  /** Moves that are no faults, by pairs. */
  readonly #free: number[] = []
  #moves = 0

  constructor(model: Model<State>) {
    this.#model = model
    this.#waiting.set(0, model.start)
    this.#numbers = new Map([[model.key(model.start), 0]])
  }

  get states(): number {
    return this.#from.length
  }

  take(number: number): State {
    const state = this.#waiting.get(number) as State
    this.#waiting.delete(number)
    if (this.#model.isEnd(state)) this.#ends.push(number)
    return state
  }

  add(from: number, { label, next, isFault }: Move<State>): void {
    this.#moves += 1
    const number = this.#numberOf(next, from, label)
    if (!isFault) this.#free.push(from, number)
  }

  /** The first state from which no end is reached without a fault. */
  stuck(): number | undefined {
    const before = Array.from({ length: this.states }, (): number[] => [])
    for (let at = 0; at < this.#free.length; at += 2) before[this.#free[at + 1] ?? 0]?.push(this.#free[at] ?? 0)
    const canEnd = new Set(this.#ends)
    for (const number of canEnd) for (const each of before[number] ?? []) canEnd.add(each)
    const number = before.findIndex((_, at) => !canEnd.has(at))
    return number < 0 ? undefined : number
  }

  trace(state: number): string[] {
    const labels: string[] = []
    for (let at = state; at > 0; at = this.#from[at] ?? 0) labels.push(this.#labels[at] ?? '')
    return labels.reverse()
  }

  result(violation: Violation | undefined): Exploration {
    return { states: this.states, moves: this.#moves, violation }
  }

  #numberOf(state: State, from: number, label: string): number {
    const key = this.#model.key(state)
    const known = this.#numbers.get(key)
    if (known !== undefined) return known
    const number = this.states
    if (number >= statesMax) throw new Error(`Model has more than ${statesMax} states: bound it`)
    this.#numbers.set(key, number)
    this.#waiting.set(number, state)
    this.#from.push(from)
    this.#labels.push(label)
    return number
  }
}
