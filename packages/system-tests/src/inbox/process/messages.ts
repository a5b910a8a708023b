import type { Told } from '../history.ts'

/** Where a round takes place, and what a process of it does. */
export interface Place {
  readonly mongo: string
  readonly redis: string
  /** Names the database, and is the prefix of the keys in Redis. */
  readonly name: string
  /** By which the server knows the process. */
  readonly app: string
  /** False: handlers run in a plain transaction, without an inbox. */
  readonly guarded: boolean
}

/** What the rig tells a process. */
export type Order =
  | { readonly order: 'open'; readonly place: Place }
  | { readonly order: 'work' }
  | { readonly order: 'ask'; readonly deliveries: readonly string[] }

/** What a process tells the rig. */
export type Heard =
  | { readonly heard: 'ready' | 'opened' | 'working' }
  /** A handler has returned what a run here has committed. */
  | { readonly heard: 'returned' }
  | { readonly heard: 'told'; readonly told: Told }
  | { readonly heard: 'failed'; readonly reason: string }
