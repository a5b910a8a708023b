import type { DbContext } from '@strata/db-context'
import type { Logger } from '@strata/school'

/** Wraps handlers so that each run leaves one line: level, chain, duration and how it ended. */
export function jobLog({ db, log }: { db: DbContext; log: Logger }) {
  return <Args extends unknown[], Output>(name: string, handler: (...args: Args) => Promise<Output> | Output) =>
    async (...args: Args): Promise<Output> => {
      const { level, chain } = db.current
      const startedAt = performance.now()
      const end = (result: string, error?: unknown) => {
        const ms = Math.round(performance.now() - startedAt)
        const line = { job: name, level, chain: chain.map(link => `${link.name}@${link.level}`), ms, result }
        log.info(error === undefined ? line : { ...line, reason: reasonOf(error) }, 'job')
      }
      try {
        const output = await handler(...args)
        end('completed')
        return output
      } catch (error) {
        end('failed', error)
        throw error
      }
    }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? `${String(error.code)}: ${error.message}` : (error.stack ?? error.message)
}
