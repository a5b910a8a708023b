import { hasCode } from '@strata/db-context'
import type { Logger } from './log.ts'

/** Below the 15 s after which whoever started this process kills it. */
const stopMsMax = 12_000
/** Nobody is left to kill it, and the servers of a local start end at the same moment. */
const orphanStopMsMax = 6000

/**
 * Says in one line why a process could not start, and sets its exit code: 2 when a setting is wrong, 1 otherwise.
 */
export function reportFailedStart(error: unknown): void {
  const isSetting = hasCode(error, 'SETTING_INVALID') || hasCode(error, 'CONFIG')
  const code = error instanceof Error && 'code' in error ? `${String(error.code)}: ` : ''
  process.stderr.write(`${code}${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = isSetting ? 2 : 1
}

/**
 * Calls `stop` at the first of SIGTERM, SIGINT and, where a parent holds an ipc channel, its end; then exits, with 0 when
 * it stopped in order. Later signals are ignored: a terminal's Ctrl-C arrives more than once. A stop that takes longer
 * than 12 s (6 s when the parent is gone) is cut off with exit code 1.
 */
export function stopAtProcessEnd(log: Logger, stop: () => Promise<void>): void {
  let stopping = false
  const end = async (why: string) => {
    if (stopping) return
    stopping = true
    const limitMs = why === 'disconnect' ? orphanStopMsMax : stopMsMax
    setTimeout(() => {
      log.error({ limitMs }, 'Stop took too long and was cut off')
      process.exit(1)
    }, limitMs).unref()
    log.info({ why }, 'Stopping')
    try {
      await stop()
      log.info('Stopped')
      process.exit(0)
    } catch (error) {
      log.error({ err: error }, 'Stop failed')
      process.exit(1)
    }
  }
  for (const why of ['SIGTERM', 'SIGINT', 'disconnect'] as const) process.on(why, () => void end(why))
}
