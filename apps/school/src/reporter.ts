import type { Logger } from './log.ts'

/** Between two lines of the same failure: each connection and fetcher tells its own at every retry while a server is away. */
const quietMs = 60_000
/** Kept at most; what came longest ago is forgotten first, and told anew when it comes again. */
const failuresMax = 1000

interface Failure {
  readonly loggedAt: number
  suppressed: number
}

/**
 * Logs what must not change an outcome, without a stack: at once when something begins to fail, then at most once a minute
 * for the same `what` and code, with the number of those left out meanwhile. No line says that it is over.
 * @param now in milliseconds; a monotonic clock by default.
 */
export function reporter(log: Logger, now = (): number => performance.now()): (error: unknown, what: string) => void {
  const failures = new Map<string, Failure>()
  return (error, what) => {
    const reason = error instanceof Error ? error.message : String(error)
    const key = JSON.stringify([what, codeOf(error) ?? reason])
    const last = failures.get(key)
    const time = now()
    if (last !== undefined && time - last.loggedAt < quietMs) {
      last.suppressed += 1
      return
    }
    failures.delete(key)
    failures.set(key, { loggedAt: time, suppressed: 0 })
    const [oldest] = failures.keys()
    if (failures.size > failuresMax && oldest !== undefined) failures.delete(oldest)
    log.warn(last?.suppressed ? { reason, suppressed: last.suppressed } : { reason }, what)
  }
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}
