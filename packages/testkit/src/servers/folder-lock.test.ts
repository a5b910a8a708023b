import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { identify } from '../watchdog/process-identity.ts'
import { lockFolder } from './folder-lock.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'strata-lock-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('a folder is taken once, and can be taken again when it is given back', () => {
  const path = folder()
  const unlock = lockFolder(path)
  const busy = expect.objectContaining({
    code: 'SERVERS_DATA_FOLDER_BUSY',
    details: { folder: path, pid: process.pid },
  })
  expect(() => lockFolder(path)).toThrow(busy)
  unlock()
  lockFolder(path)()
  expect(readdirSync(path)).toEqual([])
})

test('the lock of a process that no longer runs is taken over', () => {
  const path = folder()
  // Our own number with another start: what is left when a process number has been given out again.
  writeFileSync(join(path, 'lock.json'), JSON.stringify({ pid: process.pid, startTime: 'long ago' }))
  lockFolder(path)()
})

test('a lock that cannot be read belongs to nobody', () => {
  const path = folder()
  writeFileSync(join(path, 'lock.json'), '')
  lockFolder(path)()
})

test('a process has one identity as long as it runs, and none afterwards', () => {
  expect(identify(process.pid)).toEqual(identify(process.pid))
  expect(identify(2 ** 22 + 1)).toBeUndefined()
})
