import { createWriteStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { openPromise } from 'yauzl'

/**
 * Unpacks the one entry of a zip file whose name ends in `ending`.
 * @throws when the archive has none, or is damaged (its checksums are checked).
 */
export async function unzipEntry(archive: string, ending: string, target: string): Promise<void> {
  const zip = await openPromise(archive)
  try {
    for await (const entry of zip.eachEntry()) {
      if (!entry.fileName.endsWith(ending)) continue
      await pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target, { mode: 0o755 }))
      return
    }
    throw new Error(`The archive ${archive} has no entry that ends in ${ending}`)
  } finally {
    zip.close()
  }
}
