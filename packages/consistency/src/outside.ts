import { AsyncLocalStorage } from 'node:async_hooks'

/** Runs something outside any unit of work: what publishes goes on after the unit that happened to start it. */
export const outside: <T>(fn: () => T) => T = AsyncLocalStorage.snapshot()
