import { TestkitError } from './errors.ts'

const DEADLINE_MS = 10_000

/** A door that several may wait at; once open it stays open. */
export interface Gate {
  readonly isOpen: boolean
  /** Lets everybody through who waits, and everybody who comes later. Idempotent. */
  open(): void
  /** Resolves when the gate is open. @throws WAIT_TIMEOUT after `deadlineMs` (10 s by default). */
  wait(deadlineMs?: number): Promise<void>
}

/** Makes a closed gate: the way for a test to hold a body at a known point instead of sleeping. */
export function gate(): Gate {
  let isOpen = false
  const { promise, resolve } = Promise.withResolvers<void>()
  return {
    get isOpen() {
      return isOpen
    },
    open() {
      isOpen = true
      resolve()
    },
    async wait(deadlineMs = DEADLINE_MS) {
      const late = Promise.withResolvers<never>()
      const text = `The gate was not opened within ${deadlineMs} ms`
      const timer = setTimeout(() => late.reject(new TestkitError('WAIT_TIMEOUT', text)), deadlineMs)
      try {
        await Promise.race([promise, late.promise])
      } finally {
        clearTimeout(timer)
      }
    },
  }
}
