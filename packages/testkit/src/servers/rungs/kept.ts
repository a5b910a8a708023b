import { access, constants } from 'node:fs/promises'
import { cacheFolder, keptFile } from '../cache-folder.ts'
import { type Program, RungUnavailable, type ServerKind } from '../server-kind.ts'
import { downloadPin } from './download.ts'
import { wheelPin } from './wheel.ts'

/** A program that an earlier run has downloaded or unpacked, of exactly the pinned version. */
export async function findKept(kind: ServerKind, env: NodeJS.ProcessEnv): Promise<Program> {
  const pins = [...(kind.rungs.includes('download') ? [downloadPin(env)] : []), wheelPin(kind)]
  for (const { pin, program, version } of pins) {
    const file = keptFile(env, pin, program)
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isThere) return { file, version }
  }
  throw new RungUnavailable(`none kept in ${cacheFolder(env)}`, 'it is there after a download or a wheel')
}
