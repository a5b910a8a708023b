import { at, deadlineIn } from './deadline.ts'
import type { Outcome } from './error.ts'
import { dbContextError } from './registry.ts'
import type { Unit } from './unit.ts'

/** The units of work under way, and the gate that closes when the context stops. */
export class Units {
  readonly #live = new Set<Unit>()
  #stopping = false
  #idle: (() => void) | undefined

  get size(): number {
    return this.#live.size
  }

  /** @throws STOPPED once the context stops: workers are stopped before it, so no running chain loses a job here. */
  async run<T>(unit: Unit, body: () => Promise<T>): Promise<T> {
    if (this.#stopping) throw stopped('not-applied')
    this.#live.add(unit)
    try {
      return await unit.run(body)
    } finally {
      this.#live.delete(unit)
      if (this.#live.size === 0) this.#idle?.()
    }
  }

  /** Lets nothing new in and waits for what runs; what is left at the deadline is aborted and no longer waited for. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true
    if (this.#live.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#idle = resolve
    const disarm = at(deadlineIn(deadlineMs), () => {
      for (const unit of this.#live) unit.abort(stopped('unknown'))
      resolve()
    })
    await promise
    disarm()
  }
}

function stopped(outcome: Outcome) {
  return dbContextError('STOPPED', 'Context is stopping: it takes no more work', { outcome })
}
