import type { Station } from './station.ts'

/** One stretch of load in one process. */
export interface Stretch {
  readonly station: string
  readonly callers: number
  readonly forMs: number
  /** Between two calls of one caller. */
  readonly idleMs: number
}

/** Steps that a peer process answers with `done` or `failed`; one at a time. */
export type Step =
  | { readonly type: 'open'; readonly role: 'caller' | 'worker'; readonly station: Station }
  | { readonly type: 'go'; readonly stretch: Stretch }

/** `ms` has how long each call took, for a stretch. */
export type Answer =
  | { readonly type: 'done'; readonly ms: readonly number[] }
  | { readonly type: 'failed'; readonly message: string }
