import { connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream'
import { type Document, ObjectId } from 'mongodb'
import { LOOPBACK } from '../servers/port.ts'
import { listen } from './listen.ts'
import { loadBalancedUrl } from './mongo-address.ts'
import { type HostPort, primaryFinder } from './primary.ts'
import { commandName, wireMessages, withDocument } from './wire-messages.ts'

/** A running load-balanced endpoint. */
export interface LoadBalancedProxy extends AsyncDisposable {
  /** Ends in `/?loadBalanced=true`. */
  readonly url: string
  /** Closes the endpoint and its connections at once. Idempotent. */
  stop(): Promise<void>
}

const HELLO = new Set(['hello', 'isMaster', 'ismaster'])
// What a replica set's member says of itself and a load balancer does not; the driver takes any of it as a contradiction.
const MEMBER_FIELDS = [
  'setName',
  'setVersion',
  'hosts',
  'passives',
  'arbiters',
  'primary',
  'me',
  'secondary',
  'arbiterOnly',
  'hidden',
  'tags',
  'electionId',
  'lastWrite',
  'topologyVersion',
  'isreplicaset',
] as const

/**
 * Makes a replica set look like MongoDB behind a load balancer (as Atlas's load-balanced endpoints do): the driver
 * then keeps a connection for each open transaction and each open cursor. Only the handshake is changed; everything
 * else reaches the real primary untouched.
 *
 * After an election new connections go to the new primary; existing ones stay where they are, as behind a real one.
 * Not for TLS. Compression is never agreed on.
 * @throws when `mongoUrl` has no primary within 5 s.
 */
export async function startLoadBalancedProxy(mongoUrl: string): Promise<LoadBalancedProxy> {
  const primary = primaryFinder(mongoUrl)
  await primary.find()
  const serviceIds = new Map<string, ObjectId>()
  const serviceIdOf = ({ host, port }: HostPort): ObjectId => {
    const name = `${host}:${port}`
    const id = serviceIds.get(name) ?? new ObjectId()
    serviceIds.set(name, id)
    return id
  }
  const sockets = new Set<Socket>()
  const track = (socket: Socket): void => {
    socket.setNoDelay(true)
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  }
  const server = createServer(client => {
    track(client)
    client.on('error', () => client.destroy())
    void primary.find().then(
      target => {
        const backend = connect(target)
        track(backend)
        backend.once('error', () => primary.forget())
        join(client, backend, { serviceId: serviceIdOf(target), onDemoted: () => primary.forget() })
      },
      () => client.destroy(),
    )
  })
  const port = await listen(server)
  const stop = async (): Promise<void> => {
    server.close()
    for (const socket of sockets) socket.destroy()
  }
  return { url: loadBalancedUrl(mongoUrl, { host: LOOPBACK, port }), stop, [Symbol.asyncDispose]: stop }
}

interface Disguise {
  readonly serviceId: ObjectId
  readonly onDemoted: () => void
}

function join(client: Socket, backend: Socket, disguise: Disguise): void {
  const hellos = new Set<number>()
  const toBackend = wireMessages((message, { requestId }) => {
    if (!HELLO.has(commandName(message) ?? '')) return message
    hellos.add(requestId)
    return withDocument(message, ({ loadBalanced: _, compression: __, ...hello }) => hello)
  })
  const toClient = wireMessages((message, { responseTo }) => {
    if (!hellos.delete(responseTo)) return message
    return withDocument(message, hello => disguiseHello(hello, disguise))
  })
  // pipeline destroys both ends when either fails or closes, so a lost backend is a lost connection for the driver.
  pipeline(client, toBackend, backend, () => {})
  pipeline(backend, toClient, client, () => {})
}

function disguiseHello(hello: Document, { serviceId, onDemoted }: Disguise): Document {
  if (hello['isWritablePrimary'] === false || hello['ismaster'] === false) onDemoted()
  const kept = Object.entries(hello).filter(([name]) => !(MEMBER_FIELDS as readonly string[]).includes(name))
  return { ...Object.fromEntries(kept), msg: 'isdbgrid', serviceId }
}
