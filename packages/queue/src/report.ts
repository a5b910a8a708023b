/** Receives what must not end anything: a connection that dropped, a reply that cannot be read. */
export type Report = (error: unknown, what: string) => void

const silenceMs = 10_000
const kindsMax = 100
const warned = new Map<string, number>()

/** The default: a process warning, once in ten seconds for each kind, because a Redis that is away fails many times a second. */
export const warn: Report = (error, what) => {
  const now = performance.now()
  if (now - (warned.get(what) ?? Number.NEGATIVE_INFINITY) < silenceMs) return
  if (warned.size >= kindsMax) warned.clear()
  warned.set(what, now)
  process.emitWarning(`${what}: ${error instanceof Error ? error.message : String(error)}`, 'StrataWarning')
}
