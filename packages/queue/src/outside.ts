import { AsyncLocalStorage } from 'node:async_hooks'

/**
 * Runs a function outside any unit of work. Whatever outlives the call that happened to make it (a connection, a fetcher, a
 * timer) is made through here: made inside, it would keep that unit's context alive and hand it to unrelated jobs.
 */
export const outside: <T>(fn: () => T) => T = AsyncLocalStorage.snapshot()
