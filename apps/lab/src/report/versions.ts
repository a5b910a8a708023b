import { createRequire, findPackageJSON } from 'node:module'

/** What a measurement was made with. */
export interface Versions {
  readonly strata: string
  readonly node: string
  /** Of the servers. */
  readonly mongodb: string
  readonly redis: string
  /** Of the libraries below ours. */
  readonly mongodbDriver: string
  readonly bullmq: string
}

export function versionsOf(servers: { readonly mongodb: string; readonly redis: string }): Versions {
  // BullMQ is the queue's own affair; it is found from there.
  const queue = import.meta.resolve('@strata/queue')
  return {
    strata: versionAt(import.meta.url, '..'),
    node: process.versions.node,
    mongodb: servers.mongodb,
    redis: servers.redis,
    mongodbDriver: versionAt(import.meta.url, 'mongodb'),
    bullmq: versionAt(queue, 'bullmq'),
  }
}

function versionAt(base: string, name: string): string {
  const file = findPackageJSON(name, base)
  if (file === undefined) return 'unknown'
  return String((createRequire(base)(file) as { version?: unknown }).version ?? 'unknown')
}
