import { type Attempt, type Claim, type LockState, type LockStore, placeMs, placesMax } from './store.ts'

interface Lock {
  token: number
  lease: { id: string; owner: string; since: number; until: number; ttlMs: number } | undefined
  queue: { id: string; until: number }[]
}

/** Locks in memory, on a clock that is moved by hand: the store that the tests of others are compared with. */
export class MemoryLockStore implements LockStore {
  readonly #locks = new Map<string, Lock>()
  #now = 0
  #token = 0

  /** Moves the clock: negative sets it back. */
  advance(ms: number): void {
    this.#now += ms
  }

  /** Forgets everything but which tokens there have been. */
  drop(): void {
    this.#locks.clear()
  }

  async attempt(key: string, { id, owner, ttlMs, waits }: Claim): Promise<Attempt> {
    const lock = this.#at(key)
    const first = lock.queue[0]?.id ?? id
    if ((lock.lease?.id ?? id) === id && first === id) {
      if (!lock.lease) {
        this.#token += 1
        lock.token = this.#token
        lock.lease = { id, owner, since: this.#now, until: this.#now + ttlMs, ttlMs }
      }
      lock.queue = lock.queue.filter(place => place.id !== id)
      return { token: lock.token }
    }
    if (waits) this.#queue(lock, id)
    const before = lock.queue.findIndex(place => place.id === id)
    return { token: undefined, before: before < 0 ? undefined : before }
  }

  async takeFree(key: string, claim: Claim): Promise<number | undefined> {
    const { lease, queue } = this.#at(key)
    return lease || queue.length > 0 ? undefined : (await this.attempt(key, claim)).token
  }

  async renew(keys: readonly string[], { id, ttlMs }: Pick<Claim, 'id' | 'ttlMs'>): Promise<number> {
    const leases = this.#leases(keys, id)
    for (const { lease } of leases) if (lease) lease.until = this.#now + ttlMs
    return leases.length
  }

  async release(keys: readonly string[], id: string): Promise<number> {
    const leases = this.#leases(keys, id)
    for (const lock of leases) lock.lease = undefined
    return leases.length
  }

  async leave(key: string, id: string): Promise<void> {
    const lock = this.#locks.get(key)
    if (lock) lock.queue = lock.queue.filter(place => place.id !== id)
  }

  async read(key: string): Promise<LockState | undefined> {
    return this.#locks.has(key) ? this.#state(key, this.#at(key)) : undefined
  }

  async held(limit: number): Promise<LockState[]> {
    const states = [...this.#locks.keys()].map(key => this.#state(key, this.#at(key)))
    return states
      .filter(({ holder }) => holder)
      .sort((one, two) => (two.holder?.ageMs ?? 0) - (one.holder?.ageMs ?? 0))
      .slice(0, limit)
  }

  /** A lock without what has ended by now. */
  #at(key: string): Lock {
    const lock = this.#locks.get(key) ?? { token: 0, lease: undefined, queue: [] }
    this.#locks.set(key, lock)
    const { lease } = lock
    if (lease) lease.until = Math.min(lease.until, this.#now + lease.ttlMs)
    if (lease && lease.until <= this.#now) lock.lease = undefined
    lock.queue = lock.queue
      .filter(({ until }) => until > this.#now)
      .map(({ id, until }) => ({ id, until: Math.min(until, this.#now + placeMs) }))
    return lock
  }

  #queue(lock: Lock, id: string): void {
    const place = lock.queue.find(each => each.id === id)
    if (place && place.until < this.#now + placeMs / 2) place.until = this.#now + placeMs
    if (!place && lock.queue.length < placesMax) lock.queue.push({ id, until: this.#now + placeMs })
  }

  #leases(keys: readonly string[], id: string): Lock[] {
    return keys.flatMap(key => this.#locks.get(key) ?? []).filter(({ lease }) => lease?.id === id)
  }

  #state(key: string, { token, lease, queue }: Lock): LockState {
    const holder = lease && {
      owner: lease.owner,
      since: new Date(lease.since),
      ageMs: this.#now - lease.since,
      leftMs: lease.until - this.#now,
    }
    return { key, token, ...(holder && { holder }), waiting: queue.length }
  }
}
