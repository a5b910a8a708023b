import { execFile } from 'node:child_process'
import { access, constants, stat } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { promisify } from 'node:util'
import { reasonOf } from '../../errors.ts'
import { type Program, RungUnavailable, type ServerKind } from '../server-kind.ts'

const run = promisify(execFile)

/** The first server program on the PATH that is new enough. */
export async function findOnPath(kind: ServerKind, env: NodeJS.ProcessEnv): Promise<Program> {
  const names = kind.programs.join(' or ')
  const cure = `install ${names} ${kind.versionMin} or newer`
  const reasons: string[] = []
  for (const name of kind.programs) {
    const file = await lookUp(name, env['PATH'] ?? '')
    if (file === undefined) continue
    const version = await readVersion(file).catch(error => reasonOf(error))
    if (isAtLeast(version, kind.versionMin)) return { file, version }
    reasons.push(`${file} is ${version}, ${kind.versionMin} or newer is needed`)
  }
  throw new RungUnavailable(reasons.join('; ') || `no ${names} on the PATH`, cure)
}

/** The full path of a program on the PATH. */
async function lookUp(name: string, path: string): Promise<string | undefined> {
  for (const folder of path.split(delimiter)) {
    if (!isAbsolute(folder)) continue
    const file = join(folder, name)
    const isProgram = await access(file, constants.X_OK).then(
      async () => (await stat(file)).isFile(),
      () => false,
    )
    if (isProgram) return file
  }
  return undefined
}

/** What a server program calls its version. */
export async function readVersion(file: string): Promise<string> {
  const { stdout } = await run(file, ['--version'], { timeout: 5000 })
  return /(?:db version v|v=)(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? 'of an unknown version'
}

function isAtLeast(version: string, least: string): boolean {
  if (!/^\d+\.\d+/.test(version)) return false
  return version.localeCompare(least, 'en', { numeric: true }) >= 0
}
