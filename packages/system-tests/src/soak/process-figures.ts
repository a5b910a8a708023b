import { readdirSync } from 'node:fs'

/** What a process holds. */
export interface ProcessFigures {
  /** Used after a forced collection. */
  readonly heapBytes: number
  readonly rssBytes: number
  /** What keeps the event loop alive, or would, apart from timers: sockets, pipes, requests. */
  readonly handles: number
  readonly timers: number
  readonly fds: number
}

/** @throws Error unless the process was started with `--expose-gc`: without it a heap shows when it was last collected. */
export function processFigures(): ProcessFigures {
  if (globalThis.gc === undefined) throw new Error('Start the process with --expose-gc')
  globalThis.gc()
  const { heapUsed, rss } = process.memoryUsage()
  const resources = process.getActiveResourcesInfo()
  const timers = resources.filter(name => name === 'Timeout').length
  const immediates = resources.filter(name => name === 'Immediate').length
  return {
    heapBytes: heapUsed,
    rssBytes: rss,
    handles: resources.length - timers - immediates,
    timers,
    // Linux and macOS; the listing itself is one of them each time.
    fds: readdirSync('/dev/fd').length,
  }
}
