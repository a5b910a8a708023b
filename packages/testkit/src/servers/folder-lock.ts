import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { TestkitError } from '../errors.ts'
import { identify, isAlive, type ProcessIdentity } from '../watchdog/process-identity.ts'

/**
 * Takes a folder for this process; a lock left by a process that no longer runs is taken over.
 * @returns gives it back.
 * @throws SERVERS_DATA_FOLDER_BUSY when another process, or another start in this one, has it.
 */
export function lockFolder(folder: string): () => void {
  const own = identify(process.pid)
  if (own === undefined) throw new Error('This process cannot find itself in the process table')
  const lock = `${folder}/lock.json`
  const draft = `${lock}.${process.pid}`
  // Written first and linked then: nobody ever reads a lock that is half written.
  writeFileSync(draft, JSON.stringify(own))
  try {
    for (;;) {
      if (tryLink(draft, lock)) return () => rmSync(lock, { force: true })
      const holder = readHolder(lock)
      if (holder !== undefined && isAlive(holder)) throw busy(folder, holder)
      // Moved aside under a name of our own: of two processes that find it stale, one moves it, the other finds none.
      if (holder !== undefined) tryMoveAside(lock, `${draft}.stale`)
    }
  } finally {
    rmSync(draft, { force: true })
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readHolder(lock: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(lock, 'utf8')) as ProcessIdentity
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    return { pid: -1, startTime: '' }
  }
}

function tryMoveAside(lock: string, aside: string): void {
  try {
    renameSync(lock, aside)
  } catch {
    return
  }
  rmSync(aside, { force: true })
}

function busy(folder: string, holder: ProcessIdentity): TestkitError {
  const text = `The data folder ${folder} is in use by process ${holder.pid}; stop that one first, or use another folder`
  return new TestkitError('SERVERS_DATA_FOLDER_BUSY', text, { details: { folder, pid: holder.pid } })
}
