import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Document } from 'mongodb'
import { LOOPBACK } from '../servers/port.ts'
import { listen } from './listen.ts'
import { hostPortOf, urlThrough } from './target.ts'
import { commandName, readDocument, wireMessages, withDocument } from './wire-messages.ts'

/** A command on its way from a driver to the server. */
export interface SeenCommand {
  readonly name: string
  /** The whole of it, `lsid`, `txnNumber` and `$db` included; documents that travel beside it (an insert's) are not in it. */
  readonly document: () => Document
}

/**
 * What becomes of one command. `cut-before`: the connection breaks and the server never sees it. `cut-after`: the server does
 * it, and the connection breaks instead of carrying the reply. `drop-reply`: the server does it and the reply never
 * comes; the connection stays open and carries whatever follows. `replace-reply`: the server does it, and the driver reads
 * `document` as the reply. `delay`: the server sees it so many milliseconds later. `onReply` is called when the server's reply has come,
 * and is kept back.
 */
export type CommandFault =
  | { readonly kind: 'cut-before' | 'cut-after' }
  | { readonly kind: 'drop-reply'; readonly onReply?: () => void }
  | { readonly kind: 'replace-reply'; readonly document: Document }
  | { readonly kind: 'delay'; readonly ms: number }

/** A running proxy that breaks single commands. */
export interface CommandProxy extends AsyncDisposable {
  /** The target's URL by way of the proxy; of a replica set's member a direct connection. */
  readonly url: string
  /** Closes the proxy and its connections at once. Idempotent. */
  stop(): Promise<void>
}

/**
 * Puts a proxy before a MongoDB server that asks `faultOf` about every command, heartbeats and handshakes included, and breaks
 * those for which it names a fault; all else passes untouched. Not for TLS, and not for compressed connections.
 * @param target a `mongodb://` URL with a single host, a load-balanced endpoint's among them.
 */
export async function startCommandProxy(
  target: string,
  faultOf: (command: SeenCommand) => CommandFault | undefined,
): Promise<CommandProxy> {
  const address = hostPortOf(target)
  const sockets = new Set<Socket>()
  const track = (socket: Socket): void => {
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  const server = createServer(client => {
    const backend = connect(address)
    for (const socket of [client, backend]) track(socket)
    relay(client, backend, faultOf)
  })
  const port = await listen(server)
  const stop = async (): Promise<void> => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { url: urlThrough(target, { host: LOOPBACK, port }), stop, [Symbol.asyncDispose]: stop }
}

function relay(client: Socket, backend: Socket, faultOf: (command: SeenCommand) => CommandFault | undefined): void {
  const broken = new Map<number, CommandFault>()
  const cut = (): void => {
    client.resetAndDestroy()
    backend.destroy()
  }
  const toBackend = wireMessages((message, { requestId }) => {
    const fault = faultOf({ name: commandName(message) ?? '', document: () => readDocument(message) ?? {} })
    if (fault?.kind === 'cut-before') {
      cut()
      return nothing
    }
    if (fault?.kind === 'delay') return sleep(fault.ms, message, { ref: false })
    if (fault) broken.set(requestId, fault)
    return message
  })
  const toClient = wireMessages((message, { responseTo }) => {
    const fault = broken.get(responseTo)
    if (!fault) return message
    broken.delete(responseTo)
    if (fault.kind === 'replace-reply') return withDocument(message, () => fault.document)
    if (fault.kind === 'drop-reply') fault.onReply?.()
    else cut()
    return nothing
  })
  // Not `pipeline`: it would end the other side in order, and a broken connection has to look like one.
  for (const each of [client, backend, toBackend, toClient]) each.on('error', cut)
  client.on('close', cut)
  backend.on('close', cut)
  client.pipe(toBackend).pipe(backend)
  backend.pipe(toClient).pipe(client)
}

const nothing = Buffer.alloc(0)
