import { createServer } from 'node:net'
import getPort from 'get-port'

/** The address every server of ours listens on: nothing outside this machine reaches it. */
export const LOOPBACK = '127.0.0.1'

/** The wanted port if it is free, otherwise another free one. Both on loopback. */
export async function choosePort(wanted: number | undefined): Promise<number> {
  // Not get-port's own preference: it keeps a port it gave out locked for up to 30 s, so a quick restart would move.
  if (wanted !== undefined && (await isFree(wanted))) return wanted
  return getPort({ host: LOOPBACK })
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ port, host: LOOPBACK, exclusive: true }, () => probe.close(() => resolve(true)))
  })
}
