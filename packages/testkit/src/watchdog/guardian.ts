import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Charge, Notice } from './charge.ts'

const RESTARTS_MAX = 3

const charges = new Map<number, Charge>()
let nextId = 1
let restarts = 0
let watchdog: ChildProcess | undefined

/**
 * Has `charge` cleared away within 10 s of this process's end, however it ends. One watchdog process serves all
 * charges of this process; it starts with the first one and ends with this process.
 *
 * Not guaranteed when the watchdog is killed together with its parent and the machine goes on: what is left is then
 * found by the next start on the same data folder.
 * @returns releases the charge: to be called once it has been cleared away in the ordinary way.
 */
export function guard(charge: Charge): () => void {
  const id = nextId++
  charges.set(id, charge)
  // Sent in the same tick as the caller's spawn: the channel's buffer keeps it even if we are killed right after.
  if (watchdog === undefined) startWatchdog()
  else tell({ kind: 'guard', id, charge })
  return () => {
    charges.delete(id)
    tell({ kind: 'release', id })
  }
}

function startWatchdog(): void {
  // From source it is TypeScript, once built JavaScript: the same ending as this file's.
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const file = fileURLToPath(new URL(`./watchdog.${ending}`, import.meta.url))
  const child = fork(file, [], {
    detached: true,
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    execArgv: [],
    env: { ...process.env, NODE_OPTIONS: '' },
  })
  watchdog = child
  child.on('error', () => {})
  child.on('exit', () => {
    watchdog = undefined
    if (charges.size > 0 && restarts++ < RESTARTS_MAX) startWatchdog()
  })
  child.unref()
  child.channel?.unref()
  for (const [id, charge] of charges) tell({ kind: 'guard', id, charge })
}

function tell(notice: Notice): void {
  if (watchdog?.connected) watchdog.send(notice, () => {})
}
