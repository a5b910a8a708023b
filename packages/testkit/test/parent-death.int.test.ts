import { readdirSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { spawnNode, startServers, until } from '../src/index.ts'
import { identify, isAlive } from '../src/watchdog/process-identity.ts'
import { scratchFolder } from './scratch.ts'

const holder = fileURLToPath(new URL('./fixtures/hold-servers.ts', import.meta.url))

interface Held {
  readonly pids: number[]
  readonly mongoUrl: string
}
const isHeld = (message: unknown): message is Held =>
  typeof message === 'object' && message !== null && 'pids' in message

/** The temporary folders that a server process works in. */
function workingFolders(pids: readonly number[]): string[] {
  return pids.map(pid => readlinkSync(`/proc/${pid}/cwd`))
}

test.runIf(process.platform === 'linux')('nothing is left 10 s after the parent is killed', async () => {
  const parent = await spawnNode(holder, { ipc: true })
  const { pids } = await parent.nextMessage(isHeld, 50_000)
  const servers = pids.map(pid => identify(pid) ?? { pid, startTime: 'gone already' })
  expect(servers.every(isAlive)).toBe(true)
  const folders = workingFolders(pids).map(path => path.slice(tmpdir().length + 1))
  parent.kill('SIGKILL')
  await parent.exited
  const isAllGone = (): boolean => {
    const left = readdirSync(tmpdir())
    return !servers.some(isAlive) && !folders.some(folder => left.includes(folder))
  }
  await until(isAllGone, { deadlineMs: 10_000, message: `processes ${pids} and folders ${folders} to go` })
})

test('a folder whose servers were held by a killed process can be used at once', async () => {
  const dataDir = scratchFolder()
  const parent = await spawnNode(holder, { args: [dataDir], ipc: true })
  const { mongoUrl } = await parent.nextMessage(isHeld, 50_000)
  parent.kill('SIGKILL')
  await parent.exited
  await using servers = await startServers({ dataDir, private: true, report: () => {} })
  expect(servers.mongoUrl).toBe(mongoUrl)
})
