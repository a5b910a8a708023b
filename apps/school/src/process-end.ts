import { hasCode } from '@strata/db-context'
import type { Logger } from './log.ts'

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

/** A terminal's Ctrl-C arrives twice: from the terminal, and from the program in between. */
const repeatMs = 1500

export interface ProcessEnd {
  readonly stop: () => Promise<void>
  /** Gives up what `stop` waits for. */
  readonly cutShort: () => void
  /** The longest time that `stop` may take, in milliseconds. */
  readonly stopMsMax: number
}

/**
 * Calls `stop` at the first of SIGTERM, SIGINT and, where a parent holds an ipc channel, its end; then exits, with 0 when
 * it stopped in order. A signal that comes more than 1.5 s after the first cuts it short. A stop that takes longer than
 * `stopMsMax` (6 s when the parent is gone) is cut off with exit code 1.
 */
export function stopAtProcessEnd(log: Logger, { stop, cutShort, stopMsMax }: ProcessEnd): void {
  let stoppingSince: number | undefined
  const again = (why: string) => {
    if (performance.now() - (stoppingSince ?? 0) < repeatMs) return
    log.info({ why }, 'Stopping now')
    cutShort()
  }
  const end = async (why: string) => {
    if (stoppingSince !== undefined) return again(why)
    stoppingSince = performance.now()
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
