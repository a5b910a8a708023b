/** Who asks for a key. */
export interface Claim {
  /** Of one lease and no other, whatever owners call themselves. */
  readonly id: string
  /** For people. */
  readonly owner: string
  readonly ttlMs: number
  /** True for whoever will ask again: it is given a place among those that wait. */
  readonly waits: boolean
}

/** What one attempt has come to. */
export type Attempt =
  | { readonly token: number }
  /** How many wait before it; undefined for one that does not wait, or for whom there was no place. */
  | { readonly token: undefined; readonly before: number | undefined }

/** A lock as it stands, by the store's clock. */
export interface LockState {
  readonly key: string
  /** Of the last grant. */
  readonly token: number
  /** Absent for one that is free. */
  readonly holder?: LockHolder
  /** How many wait for it. */
  readonly waiting: number
}

export interface LockHolder {
  /** What it calls itself: a name for people, which two may have. */
  readonly owner: string
  readonly since: Date
  readonly ageMs: number
  /** What its lease has left if it is not renewed. */
  readonly leftMs: number
}

/**
 * Keeps locks, on one clock that is its own. `conformance.ts` says what a store has to satisfy: each operation on a key happens
 * at one moment; a key is granted when it is free to whoever waits first, or to anybody if nobody waits; each grant's token
 * is larger than all before it, whatever becomes of the records meanwhile.
 */
export interface LockStore {
  attempt(key: string, claim: Claim): Promise<Attempt>
  /** The same for a key that was given back and that nobody waits for, at the cost of a plain write. @returns undefined for any other */
  takeFree(key: string, claim: Claim): Promise<number | undefined>
  /** Gives a lease its whole time anew. @returns of how many of these keys it is still the lease */
  renew(keys: readonly string[], lease: Pick<Claim, 'id' | 'ttlMs'>): Promise<number>
  /** Frees what is this lease's, and nothing else. @returns how many */
  release(keys: readonly string[], id: string): Promise<number>
  /** Gives up a place among those that wait. */
  leave(key: string, id: string): Promise<void>
  read(key: string): Promise<LockState | undefined>
  /** Those that are held, the oldest first. */
  held(limit: number): Promise<LockState[]>
}

/** How long a place is kept for somebody who does not ask again, in milliseconds: what a waiter that died holds others up for. */
export const placeMs = 2000

/** Places that are kept; whoever comes to a longer queue asks again until there is one. */
export const placesMax = 200
