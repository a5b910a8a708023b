import { type Gate, gate } from '@strata/testkit'

/** Doors with names, the same in every process of a run: opened in one, open in all. */
export class Gates {
  readonly #gates = new Map<string, Gate>()
  readonly #tell: (name: string) => void
  readonly #waitMs: number

  constructor(options: { readonly tell: (name: string) => void; readonly waitMs: number }) {
    this.#tell = options.tell
    this.#waitMs = options.waitMs
  }

  /** Opens it here and tells the other processes. */
  open(name: string): void {
    this.openHere(name)
    this.#tell(name)
  }

  /** Opens it here only: another process has told of it. */
  openHere(name: string): void {
    this.#gate(name).open()
  }

  isOpen(name: string): boolean {
    return this.#gate(name).isOpen
  }

  /** @throws WAIT_TIMEOUT beyond every other bound of the run */
  wait(name: string): Promise<void> {
    return this.#gate(name).wait(this.#waitMs)
  }

  #gate(name: string): Gate {
    const known = this.#gates.get(name) ?? gate()
    this.#gates.set(name, known)
    return known
  }
}
