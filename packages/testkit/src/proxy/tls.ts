import { connect } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { LOOPBACK } from '../servers/port.ts'
import { listen } from './listen.ts'
import { hostPortOf } from './target.ts'

/** A proxy that speaks TLS on the one side and plain TCP on the other. */
export interface TlsProxy extends AsyncDisposable {
  readonly port: number
  /** The target's URL by way of the proxy, with `rediss:`; user and password stay. */
  readonly url: string
  /** Its own certificate, in PEM: who gives this as `ca` trusts this proxy and no other. */
  readonly certificate: string
  stop(): Promise<void>
}

/**
 * Puts TLS before a Redis that is built without it, with a certificate for 127.0.0.1 and localhost that is made at each
 * start and valid for a day.
 * @param target a `redis://` URL.
 */
export async function startTlsProxy(target: string): Promise<TlsProxy> {
  const address = hostPortOf(target)
  const names = [
    { type: 2 as const, value: 'localhost' },
    { type: 7 as const, ip: LOOPBACK },
  ]
  // Here and not above: it brings 230 modules, which every process that takes anything from the testkit would load.
  const { generate } = await import('selfsigned')
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    notAfterDate: new Date(Date.now() + 24 * 3_600_000),
    extensions: [
      // Its own authority, so that it can be checked by itself.
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'subjectAltName', altNames: names },
    ],
  })
  const open = new Set<TLSSocket>()
  const server = createServer({ key: made.private, cert: made.cert }, client => {
    const backend = connect(address)
    open.add(client)
    client.once('close', () => open.delete(client))
    for (const socket of [client, backend]) {
      socket.setNoDelay(true)
      socket.on('error', () => {})
    }
    client.once('close', () => backend.destroy())
    backend.once('close', () => client.destroy())
    client.pipe(backend).pipe(client)
  })
  // A client that refuses the certificate ends the handshake: nothing that ends the proxy.
  server.on('tlsClientError', () => {})
  const port = await listen(server)
  const url = new URL(target)
  url.protocol = 'rediss:'
  url.hostname = LOOPBACK
  url.port = String(port)
  const stop = async (): Promise<void> => {
    server.close()
    for (const client of open) client.destroy()
  }
  return { port, url: url.href, certificate: made.cert, stop, [Symbol.asyncDispose]: stop }
}
