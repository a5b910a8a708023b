// The program that outlives its parent for a few seconds: started by guardian.ts, told over its channel what to
// clear away, and at work only once that channel closes, which it does however the parent ends, SIGKILL included.
import { rm } from 'node:fs/promises'
import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContainerCharge, Notice, ProcessCharge } from './charge.ts'
import { isAlive, signalProcess } from './process-identity.ts'

const charges = new Map<number, Notice & { kind: 'guard' }>()

process.on('message', (notice: Notice) => {
  if (notice.kind === 'guard') charges.set(notice.id, notice)
  else charges.delete(notice.id)
})
// A terminal's Ctrl-C is the parent's business: it stops its servers in order, and then this channel closes.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => {
  void clearAway().finally(() => process.exit(0))
})

async function clearAway(): Promise<void> {
  const all = [...charges.values()].map(notice => notice.charge)
  await Promise.allSettled(all.map(charge => (charge.what === 'process' ? endProcess(charge) : undefined)))
  await Promise.allSettled(all.map(charge => (charge.what === 'container' ? removeContainer(charge) : undefined)))
  // Folders last: a server that still runs would write into its folder while it is being removed.
  for (const charge of all) {
    if (charge.what === 'folder') await rm(charge.path, { recursive: true, force: true, maxRetries: 3 }).catch(() => {})
  }
}

async function endProcess(target: ProcessCharge): Promise<void> {
  const end = Date.now() + target.graceMs
  if (target.graceMs > 0) signalProcess(target, 'SIGTERM')
  while (isAlive(target) && Date.now() < end) await sleep(50)
  signalProcess(target, 'SIGKILL')
}

/** Asks the engine itself: its command line program need not be installed. */
function removeContainer({ containerId, engine }: ContainerCharge): Promise<void> {
  return new Promise(resolve => {
    const path = `/containers/${containerId}?force=true&v=true`
    const call = request({ ...engine, method: 'DELETE', path, timeout: 5000 }, response => {
      response.resume()
      response.on('close', resolve)
    })
    call.on('timeout', () => call.destroy())
    call.on('error', () => resolve())
    call.end()
  })
}
