import type { AddressInfo, Server } from 'node:net'
import { LOOPBACK } from '../servers/port.ts'

/** Has a server listen on a free port of 127.0.0.1, without keeping the process alive. Returns the port. */
export function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: LOOPBACK, port: 0 }, () => {
      server.unref()
      resolve((server.address() as AddressInfo).port)
    })
  })
}
