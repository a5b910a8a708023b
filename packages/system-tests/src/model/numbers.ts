type Kind = Uint8ArrayConstructor | Uint32ArrayConstructor

/** Whole numbers by index, in a few bytes each: an array of millions that grows. What was not set is 0. */
export class Numbers {
  readonly #kind: Kind
  #values: Uint8Array | Uint32Array
  length = 0

  constructor(kind: Kind) {
    this.#kind = kind
    this.#values = new kind(1024)
  }

  at(index: number): number {
    return this.#values[index] ?? 0
  }

  set(index: number, value: number): void {
    if (index >= this.#values.length) this.#grow(index)
    this.#values[index] = value
    if (index >= this.length) this.length = index + 1
  }

  #grow(index: number): void {
    const values = new this.#kind(Math.max(index + 1, 2 * this.#values.length))
    values.set(this.#values)
    this.#values = values
  }
}
