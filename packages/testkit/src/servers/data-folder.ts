import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { TestkitError } from '../errors.ts'
import { guard } from '../watchdog/guardian.ts'
import type { ProcessIdentity } from '../watchdog/process-identity.ts'
import { lockFolder } from './folder-lock.ts'
import { endLeftover } from './program.ts'

/** A data folder needs this much free space; below it MongoDB's journal alone fills the disk while it starts. */
const FREE_BYTES_MIN = 300 * 1024 * 1024
const LEFTOVER_GRACE_MS = 8000

/** What a start leaves for the next one on the same folder. */
export interface FolderState {
  readonly ports: readonly number[]
  /** What ran here last; still running only if parent and watchdog were killed together. */
  readonly processes: readonly ProcessIdentity[]
}

/** The folder of one server, held by this process. */
export interface DataFolder {
  readonly path: string
  /** A temporary one goes with the server; its data are nobody's. */
  readonly temporary: boolean
  /** Port and processes of the last start; empty at the first. */
  readonly last: FolderState
  save(state: FolderState): void
  /** Gives the folder back; removes it if it is temporary. */
  close(): void
}

/**
 * Opens `dataDir/name` (made if absent), or a temporary folder when there is no `dataDir`, and ends what an earlier
 * start has left running in it.
 * @throws SERVERS_DATA_FOLDER when it cannot be written or the disk is full.
 * @throws SERVERS_DATA_FOLDER_BUSY when another process uses it.
 */
export async function openDataFolder(dataDir: string | undefined, name: string): Promise<DataFolder> {
  const place = dataDir === undefined ? tmpdir() : dataDir
  try {
    return dataDir === undefined ? openTemporary(name) : await openKept(resolve(dataDir, name))
  } catch (error) {
    throw error instanceof TestkitError ? error : folderError(place, error as NodeJS.ErrnoException)
  }
}

function openTemporary(name: string): DataFolder {
  const path = mkdtempSync(join(tmpdir(), `strata-${name}-`))
  const release = guard({ what: 'folder', path })
  const close = (): void => {
    rmSync(path, { recursive: true, force: true, maxRetries: 3 })
    release()
  }
  try {
    checkSpace(path)
  } catch (error) {
    close()
    throw error
  }
  return { path, temporary: true, last: { ports: [], processes: [] }, save: () => {}, close }
}

async function openKept(path: string): Promise<DataFolder> {
  mkdirSync(path, { recursive: true })
  const unlock = lockFolder(path)
  try {
    checkSpace(path)
    const stateFile = join(path, 'state.json')
    const last = readState(stateFile)
    await Promise.all(last.processes.map(leftover => endLeftover(leftover, LEFTOVER_GRACE_MS)))
    const save = (state: FolderState): void => {
      writeFileSync(`${stateFile}.new`, JSON.stringify(state))
      renameSync(`${stateFile}.new`, stateFile)
    }
    return { path, temporary: false, last, save, close: unlock }
  } catch (error) {
    unlock()
    throw error
  }
}

function readState(file: string): FolderState {
  try {
    return { ports: [], processes: [], ...(JSON.parse(readFileSync(file, 'utf8')) as Partial<FolderState>) }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { ports: [], processes: [] }
    const text = `The file ${file} cannot be read as JSON; remove it (the servers then take new ports)`
    throw new TestkitError('SERVERS_DATA_FOLDER', text, { details: { file }, cause: error })
  }
}

function checkSpace(path: string): void {
  const disk = statfsSync(path)
  const free = disk.bavail * disk.bsize
  if (free >= FREE_BYTES_MIN) return
  const megabytes = (bytes: number): number => Math.floor(bytes / 1024 / 1024)
  const text = `The disk of ${path} has ${megabytes(free)} MB free, ${megabytes(FREE_BYTES_MIN)} MB are needed; free some space, or use another folder`
  throw new TestkitError('SERVERS_DATA_FOLDER', text, { details: { path, freeBytes: free } })
}

/** What the file system's refusals mean for a folder. */
const REFUSALS: Readonly<Record<string, { readonly said: string; readonly cure: string }>> = {
  EROFS: { said: 'its file system is read-only', cure: 'mount it writable' },
  EACCES: { said: 'this user may not write there', cure: 'make it writable for this user' },
  EPERM: { said: 'this user may not write there', cure: 'make it writable for this user' },
  ENOENT: { said: 'it cannot be made, since no folder can be made above it', cure: 'make it by hand' },
  ENOTDIR: { said: 'there is a file in its place', cure: 'remove the file' },
  EEXIST: { said: 'there is a file in its place', cure: 'remove the file' },
  ENOSPC: { said: 'the disk is full', cure: 'free some space' },
  EDQUOT: { said: 'the disk quota is used up', cure: 'free some space' },
}

function folderError(path: string, error: NodeJS.ErrnoException): TestkitError {
  const otherwise = { said: error.message, cure: 'make it writable for this user' }
  const { said, cure } = REFUSALS[error.code ?? ''] ?? otherwise
  const text = `The data folder ${path} cannot be used: ${said}; ${cure}, or use another folder`
  return new TestkitError('SERVERS_DATA_FOLDER', text, { details: { path, errno: error.code }, cause: error })
}
