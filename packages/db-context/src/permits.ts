import { at, type Deadline } from './deadline.ts'

/** One unit of a bounded resource, held until `release`; releasing twice does nothing. */
export interface Permit {
  release(): void
}

export interface PermitRequest {
  readonly deadline: Deadline
  readonly signal: AbortSignal | undefined
  /** Makes the error for a wait that ended without a permit. */
  readonly refuse: (why: 'timeout' | 'aborted') => Error
}

interface Waiter {
  grant(permit: Permit): void
}

/**
 * A counting semaphore, first come, first served. A waiter leaves the queue at its own absolute deadline, so a wait
 * that is queued again does not start its time anew. Grants happen in `release` itself: a permit is either granted or
 * expired, never both.
 */
export class Permits {
  readonly max: number
  #inUse = 0
  readonly #queue = new Set<Waiter>()

  constructor(max: number) {
    this.max = max
  }

  get inUse(): number {
    return this.#inUse
  }

  get waiting(): number {
    return this.#queue.size
  }

  /** Takes a permit if one is free and nobody waits for it; never waits. */
  tryAcquire(): Permit | undefined {
    if (this.#inUse >= this.max || this.#queue.size > 0) return undefined
    this.#inUse += 1
    return new HeldPermit(this)
  }

  acquire(request: PermitRequest): Promise<Permit> {
    const free = this.tryAcquire()
    if (free) return Promise.resolve(free)
    const { promise, resolve, reject } = Promise.withResolvers<Permit>()
    const leave = (why: 'timeout' | 'aborted') => {
      settle()
      reject(request.refuse(why))
    }
    const onAbort = () => leave('aborted')
    const settle = () => {
      this.#queue.delete(waiter)
      disarm()
      request.signal?.removeEventListener('abort', onAbort)
    }
    const waiter: Waiter = {
      grant: permit => {
        settle()
        resolve(permit)
      },
    }
    this.#queue.add(waiter)
    const disarm = at(request.deadline, () => leave('timeout'))
    if (request.signal?.aborted) onAbort()
    else request.signal?.addEventListener('abort', onAbort, { once: true })
    return promise
  }

  /** Hands a permit that came back to the first waiter. Called once by each permit. */
  pass(): void {
    const [next] = this.#queue
    if (next) next.grant(new HeldPermit(this))
    else this.#inUse -= 1
  }
}

class HeldPermit implements Permit {
  #permits: Permits | undefined

  constructor(permits: Permits) {
    this.#permits = permits
  }

  release(): void {
    const permits = this.#permits
    this.#permits = undefined
    permits?.pass()
  }
}
