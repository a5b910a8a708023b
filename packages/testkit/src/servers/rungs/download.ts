import { type ChildProcess, fork } from 'node:child_process'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { cacheFolder, keptFile } from '../cache-folder.ts'
import { keep } from '../keep.ts'
import { type Program, RungUnavailable } from '../server-kind.ts'
import type { DownloadEnd } from './mongod-download.ts'
import { readVersion } from './path.ts'

const VERSION = '8.0.15'
const DEADLINE_MS = 20 * 60_000

/** Under which name a downloaded mongod is kept. `MONGOMS_VERSION` asks for another version than the pinned one. */
export function downloadPin(env: NodeJS.ProcessEnv): { pin: string; program: string; version: string } {
  const version = env['MONGOMS_VERSION'] ?? VERSION
  return { pin: `mongod-${version}-download`, program: 'mongod', version }
}

/**
 * MongoDB's official download for this system, checked against its published sum, put into the user's cache folder.
 * The variables of mongodb-memory-server (`MONGOMS_DOWNLOAD_MIRROR` and so on) apply.
 */
export async function downloadMongod(env: NodeJS.ProcessEnv, report: (line: string) => void): Promise<Program> {
  const { pin, program, version } = downloadPin(env)
  const file = keptFile(env, pin, program)
  await mkdir(cacheFolder(env), { recursive: true })
  const scratch = await mkdtemp(join(cacheFolder(env), 'downloading-'))
  try {
    report(`MongoDB: downloading ${version} (about 100 MB)`)
    const downloaded = await download({ ...env, ...settings(env) }, { version, folder: scratch, report })
    await mkdir(join(scratch, 'kept'))
    await rename(downloaded, join(scratch, 'kept', program))
    await keep(join(scratch, 'kept'), file)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return { file, version: await readVersion(file) }
}

/** Ours where the user has said nothing: few tries, and the certificate checked (the library's default is not to). */
function settings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    MONGOMS_MAX_RETRIES: env['MONGOMS_MAX_RETRIES'] ?? '2',
    npm_config_strict_ssl: env['npm_config_strict_ssl'] ?? 'true',
    NODE_OPTIONS: '',
  }
}

interface Download {
  readonly version: string
  readonly folder: string
  readonly report: (line: string) => void
}

// In a process of its own: the library reads the environment of its process only, prints to its stdout, and a hung
// download can be ended.
function download(env: NodeJS.ProcessEnv, { version, folder, report }: Download): Promise<string> {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const script = fileURLToPath(new URL(`./mongod-download.${ending}`, import.meta.url))
  const child: ChildProcess = fork(script, [version, folder], {
    env,
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
  })
  const lines = child.stdout === null ? undefined : createInterface({ input: child.stdout })
  lines?.on('line', line => report(`MongoDB: ${line.trim()}`))
  child.stderr?.resume()
  return new Promise((resolve, reject) => {
    const fail = (reason: string): void => {
      reject(
        new RungUnavailable(
          `the download failed: ${reason}`,
          'reach fastdl.mongodb.org, or set MONGOMS_DOWNLOAD_MIRROR',
        ),
      )
    }
    child.once('message', message => {
      const end = message as DownloadEnd
      if ('file' in end) resolve(end.file)
      else fail(end.reason)
    })
    child.once('error', error => fail(error.message))
    child.once('exit', () => fail('it ended without a word, or took longer than 20 minutes'))
  })
}
