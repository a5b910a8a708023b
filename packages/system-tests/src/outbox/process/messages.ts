import type { Told } from '../history.ts'
import type { OutboxPlan } from '../plan.ts'

/** Where a round takes place, and what a process of it does. */
export interface Place {
  readonly mongo: string
  readonly redis: string
  /** Names the database, and is the prefix of the keys in Redis. */
  readonly name: string
  /** False in a process that commits and leaves the publishing to others, as one that is killed after each commit. */
  readonly publishes: boolean
  /** False: pushes are sent after the commit by the process itself, and by nobody else. */
  readonly wired: boolean
}

/** What the rig tells a process. */
export type Order =
  | { readonly order: 'open'; readonly place: Place }
  | { readonly order: 'commit'; readonly plans: readonly OutboxPlan[]; readonly callers: number }
  | { readonly order: 'relay' }

/** What a process tells the rig. */
export type Heard =
  | { readonly heard: 'ready' | 'opened' | 'committed' }
  /** It is publishing, so it holds the lease if it is one that relays. */
  | { readonly heard: 'publishing' }
  | { readonly heard: 'ended'; readonly told: Told }
  | { readonly heard: 'failed'; readonly reason: string }
