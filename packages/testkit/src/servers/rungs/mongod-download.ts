// Run by download.ts in a process of its own: downloads one version into one folder, and says where it is.
import { DryMongoBinary, MongoBinary } from 'mongodb-memory-server-core'

/** What this process sends before it ends. */
export type DownloadEnd = { readonly file: string } | { readonly reason: string }

async function run(version: string, downloadDir: string): Promise<DownloadEnd> {
  try {
    const options = await DryMongoBinary.generateOptions({ version, downloadDir })
    // Not getPath: it would take a program it finds in another cache, which the next start of ours would not find.
    return { file: await MongoBinary.download({ ...options, downloadDir, checkMD5: true }) }
  } catch (error) {
    // The library puts the cause on a second line.
    return { reason: error instanceof Error ? error.message.split('\n').slice(0, 2).join(' ') : String(error) }
  }
}

// Its parent's end is its own: nobody would use what it fetches.
process.on('disconnect', () => process.exit(1))
const [version = '', folder = ''] = process.argv.slice(2)
const end = await run(version, folder)
process.send?.(end, () => process.disconnect())
