import { setTimeout as sleep } from 'node:timers/promises'
import { reasonOf, TestkitError } from './errors.ts'

/** How long and how often `until` looks. */
export interface UntilOptions {
  /** Longest wait in milliseconds. */
  readonly deadlineMs: number
  /** What was waited for, as the end of "Waited N ms for …". */
  readonly message: string
  /** Pause between two looks in milliseconds; 20 by default. */
  readonly everyMs?: number
}

/**
 * Resolves with the condition's first truthy value. A condition that throws counts as not yet true, and its last
 * reason is told when the time is up; one that never settles does not outlast the deadline either.
 * @throws WAIT_TIMEOUT when `deadlineMs` has passed.
 */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions): Promise<T> {
  const deadline = Date.now() + options.deadlineMs
  let reason: unknown
  for (;;) {
    const left = deadline - Date.now()
    const look = await lookOnce(condition, Math.max(left, 0))
    if ('value' in look && look.value) return look.value
    if ('reason' in look) reason = look.reason
    if (Date.now() >= deadline) throw timeout(options, reason)
    await sleep(Math.min(options.everyMs ?? 20, Math.max(deadline - Date.now(), 0)))
  }
}

type Look<T> = { value: T } | { reason: unknown }

async function lookOnce<T>(condition: () => T | Promise<T>, leftMs: number): Promise<Look<T>> {
  const clock = new AbortController()
  const late = sleep(leftMs, { reason: 'the condition itself did not answer in time' }, { signal: clock.signal })
  late.catch(() => {})
  try {
    const look = Promise.resolve()
      .then(condition)
      .then(value => ({ value }))
    return await Promise.race([look, late])
  } catch (error) {
    return { reason: error }
  } finally {
    clock.abort()
  }
}

function timeout(options: UntilOptions, reason: unknown): TestkitError {
  const last = reason === undefined ? '' : `; last reason: ${reasonOf(reason)}`
  const text = `Waited ${options.deadlineMs} ms for ${options.message}${last}`
  return new TestkitError('WAIT_TIMEOUT', text, { details: { deadlineMs: options.deadlineMs }, cause: reason })
}
