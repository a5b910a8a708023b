import type { ProcessIdentity } from './process-identity.ts'

/** A process to end: SIGTERM, then SIGKILL after `graceMs` (0: SIGKILL at once). */
export interface ProcessCharge extends ProcessIdentity {
  readonly what: 'process'
  readonly graceMs: number
}

/** A folder to remove with all it holds. */
export interface FolderCharge {
  readonly what: 'folder'
  readonly path: string
}

/** A container to remove, and where its engine listens. */
export interface ContainerCharge {
  readonly what: 'container'
  readonly containerId: string
  readonly engine: { readonly socketPath: string } | { readonly host: string; readonly port: number }
}

/** What the watchdog clears away when its parent is gone. */
export type Charge = ProcessCharge | FolderCharge | ContainerCharge

/** What goes over the channel to the watchdog. */
export type Notice =
  | { readonly kind: 'guard'; readonly id: number; readonly charge: Charge }
  | { readonly kind: 'release'; readonly id: number }
