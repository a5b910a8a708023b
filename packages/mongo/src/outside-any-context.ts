import { AsyncLocalStorage } from 'node:async_hooks'

/** Runs something outside every unit of work: sockets and timers of a client outlive the work that opened it. */
export const outsideAnyContext = AsyncLocalStorage.snapshot()
