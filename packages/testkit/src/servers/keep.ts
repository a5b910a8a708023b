import { access, constants, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Moves a complete folder to where `file`, a program in it, is kept, in one step: a program found there is never half
 * written. Two processes that do so at once both succeed; the later one uses what the earlier has put there.
 */
export async function keep(folder: string, file: string): Promise<void> {
  try {
    await rename(folder, dirname(file))
  } catch (error) {
    await access(file, constants.X_OK).catch(() => {
      throw error
    })
  }
}
