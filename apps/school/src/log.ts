import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** Logs what must not change an outcome: a line without a stack, since it may come again and again while a server is away. */
export const reporter = (log: Logger) => (error: unknown, what: string) =>
  log.warn({ reason: error instanceof Error ? error.message : String(error) }, what)

/** A JSON line an event, on stderr: stdout belongs to what a person is to read. */
export function createLog(options: { name: string; level: string }): Logger {
  return pino(options, pino.destination(2))
}
