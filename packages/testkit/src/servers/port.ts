import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import getPort from 'get-port'

/** The address every server of ours listens on: nothing outside this machine reaches it. */
export const LOOPBACK = '127.0.0.1'

// Below the range from which systems give outgoing connections their ports (Linux from 32768, others from 49152): a
// kept port inside it would now and then be some connection's when its server starts again.
const PORT_MIN = 20_000
const PORT_MAX = 32_000
const CANDIDATES = 50
const LEFTOVER_MS = 1000
const PAUSE_MS = 20

/** The wanted port if it is free, otherwise another free one. Both on loopback. */
export async function choosePort(wanted: number | undefined): Promise<number> {
  // Not get-port's own preference: it keeps a port it gave out locked for up to 30 s, so a quick restart would move.
  if (wanted !== undefined && (await comesFree(wanted))) return wanted
  // At random, since several processes that counted upwards from the same number would all meet there.
  const candidates = Array.from({ length: CANDIDATES }, () => randomInt(PORT_MIN, PORT_MAX))
  return getPort({ host: LOOPBACK, port: candidates })
}

/** A process that was killed is gone for the system while its last threads still have its sockets. */
async function comesFree(port: number): Promise<boolean> {
  const deadline = performance.now() + LEFTOVER_MS
  for (;;) {
    if (await isFree(port)) return true
    if (performance.now() > deadline) return false
    await sleep(PAUSE_MS)
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: LOOPBACK, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
