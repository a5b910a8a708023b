import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

/** A JSON line an event, on stderr: stdout belongs to what a person is to read. */
export function createLog(options: { name: string; level: string }): Logger {
  return pino(options, pino.destination(2))
}
