import { join } from 'node:path'
import envPaths from 'env-paths'

/** Where server programs are kept between runs: one folder a user, shared by all checkouts. */
export function cacheFolder(env: NodeJS.ProcessEnv): string {
  // env-paths reads this process's environment only; ours may have been handed in.
  const base = env['XDG_CACHE_HOME'] ? join(env['XDG_CACHE_HOME'], 'strata') : envPaths('strata', { suffix: '' }).cache
  return join(base, 'programs')
}

/** The kept program of one pinned source: the pin is in the path, so a new pin never runs an old program. */
export function keptFile(env: NodeJS.ProcessEnv, pin: string, program: string): string {
  return join(cacheFolder(env), pin, program)
}
