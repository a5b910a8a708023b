/** Receives what must not end anything: a queue that is away, a relay that lost its lease. */
export type Report = (error: unknown, what: string) => void

const silenceMs = 10_000
const warned = new Map<string, number>()

/** The default: a process warning, once in ten seconds for each kind. */
export const warn: Report = (error, what) => {
  const now = performance.now()
  if (now - (warned.get(what) ?? Number.NEGATIVE_INFINITY) < silenceMs) return
  warned.set(what, now)
  process.emitWarning(`${what}: ${error instanceof Error ? error.message : String(error)}`, 'StrataWarning')
}

/** What receives a report must not end what reports. */
export const safely =
  (report: Report): Report =>
  (error, what) => {
    try {
      report(error, what)
    } catch (cause) {
      warn(cause, what)
    }
  }
