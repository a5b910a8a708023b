import { createHash } from 'node:crypto'

/**
 * What to mount for a folder's data: on Linux the folder itself, so that other rungs find the same data. Elsewhere a
 * volume named after it: there a folder comes through a file sharing layer that MongoDB's storage engine does not bear.
 */
export function dataSource(folder: string): string {
  if (process.platform === 'linux') return folder
  return `strata-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
}
