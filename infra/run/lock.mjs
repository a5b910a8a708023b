// One set-up at a time in one clone: two first runs at once would write the same node_modules/.
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

/** Longer than any set-up that still makes progress. */
const WAIT_LIMIT_MS = 10 * 60_000

const isAlive = pid => {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

const errorCode = action => {
  try {
    action()
    return undefined
  } catch (error) {
    return error.code
  }
}

const readHolder = file => {
  let holder
  errorCode(() => {
    holder = Number(readFileSync(file, 'utf8'))
  })
  return holder
}

/** By link, because a file opened and then written could be seen, or left behind, empty. */
const tryTake = file => {
  const own = `${file}.${process.pid}`
  writeFileSync(own, String(process.pid))
  const failure = errorCode(() => linkSync(own, file))
  rmSync(own)
  if (failure !== undefined && failure !== 'EEXIST') throw new Error(`${file} cannot be made (${failure})`)
  return failure === undefined
}

/** Moved aside before it is removed: between the look and the removal another process may have taken over. */
const removeLockOf = (deadHolder, file) => {
  const aside = `${file}.${process.pid}`
  if (errorCode(() => renameSync(file, aside)) !== undefined) return
  if (readHolder(aside) !== deadHolder) errorCode(() => linkSync(aside, file))
  rmSync(aside)
}

/** Runs `action` while no other process runs one under the same lock file; takes over from a holder that died. */
export async function withLock(file, say, action) {
  const deadline = Date.now() + WAIT_LIMIT_MS
  for (let told = false; !tryTake(file); ) {
    const holder = readHolder(file)
    if (holder !== undefined && !isAlive(holder)) {
      removeLockOf(holder, file)
      continue
    }
    if (!told && holder !== undefined) {
      told = true
      say(`Another set-up of this clone is running (process ${holder}), waiting for it`)
    }
    if (Date.now() > deadline)
      throw new Error(`Another set-up did not end within 10 minutes: end process ${holder} or remove ${file}`)
    await pause(100)
  }
  const release = () => rmSync(file, { force: true })
  process.once('exit', release)
  try {
    return await action()
  } finally {
    process.off('exit', release)
    release()
  }
}
