import { connect, createServer, type Socket } from 'node:net'
import { LOOPBACK } from '../servers/port.ts'
import { type Flow, flow } from './flow.ts'
import { listen } from './listen.ts'
import type { HostPort } from './primary.ts'
import { hostPortOf, urlThrough } from './target.ts'

/** What can be done to a connection, or to all of them. */
export interface Faults {
  /** Resets it: both ends see the connection break. */
  cut(): void
  /** Holds all bytes, as a hanging peer does; both ends believe the connection alive. */
  pause(): void
  /** Lets held bytes go. A connection that a blackhole has taken bytes from is cut, since it cannot go on. */
  resume(): void
  /** Adds so many milliseconds to each direction, so twice as many to a round trip; 0 takes them away. */
  delay(ms: number): void
  /** Swallows all bytes, as a lost route does. */
  blackhole(): void
}

/** A connection through the proxy. */
export interface FaultConnection extends Faults {
  /** Counts from 0 in the order of arrival. */
  readonly index: number
  /** How many bytes of either direction a blackhole has swallowed. */
  readonly lostBytes: () => number
}

/** A proxy whose faults apply to every connection, those to come included (except `cut`). */
export interface FaultProxy extends Faults, AsyncDisposable {
  readonly port: number
  /** The target's URL by way of the proxy; for a replica set a direct connection. `127.0.0.1:port` for a plain target. */
  readonly url: string
  /** The connections open now, oldest first. */
  readonly connections: readonly FaultConnection[]
  /** From now on new connections are reset at once (true), or accepted again (false). Existing ones stay. */
  refuse(on: boolean): void
  /** From now on new connections go to another server, as after a failover. Existing ones stay where they are. */
  retarget(target: string | HostPort): void
  stop(): Promise<void>
}

interface Weather {
  delayMs: number
  mode: 'open' | 'paused' | 'blackhole'
  isRefusing: boolean
}

/**
 * Puts a proxy before a server whose connections can be broken, held, delayed and swallowed, one by one or all.
 * Delays are the event loop's: whole milliseconds, up to about one more.
 * @param target a `mongodb://` or `redis://` URL with a single host, or host and port of anything that speaks TCP.
 */
export async function startFaultProxy(target: string | HostPort): Promise<FaultProxy> {
  let address = addressOf(target)
  const weather: Weather = { delayMs: 0, mode: 'open', isRefusing: false }
  const connections: FaultConnection[] = []
  let count = 0
  const server = createServer({ allowHalfOpen: true }, client => {
    if (weather.isRefusing) {
      client.resetAndDestroy()
      return
    }
    const connection = relay(client, connect({ ...address, allowHalfOpen: true }), { index: count++, weather })
    connections.push(connection)
    client.once('close', () => connections.splice(connections.indexOf(connection), 1))
  })
  const port = await listen(server)
  const each = (change: (connection: FaultConnection) => void): void => [...connections].forEach(change)
  const stop = async (): Promise<void> => {
    server.close()
    each(connection => connection.cut())
  }
  return {
    port,
    url: typeof target === 'string' ? urlThrough(target, { host: LOOPBACK, port }) : `${LOOPBACK}:${port}`,
    connections,
    cut: () => each(connection => connection.cut()),
    pause: () => {
      weather.mode = 'paused'
      each(connection => connection.pause())
    },
    resume: () => {
      weather.mode = 'open'
      each(connection => connection.resume())
    },
    delay: ms => {
      weather.delayMs = ms
      each(connection => connection.delay(ms))
    },
    blackhole: () => {
      weather.mode = 'blackhole'
      each(connection => connection.blackhole())
    },
    refuse: on => {
      weather.isRefusing = on
    },
    retarget: next => {
      address = addressOf(next)
    },
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

const addressOf = (target: string | HostPort): HostPort => (typeof target === 'string' ? hostPortOf(target) : target)

function relay(
  client: Socket,
  backend: Socket,
  { index, weather }: { index: number; weather: Weather },
): FaultConnection {
  const flows: readonly Flow[] = [flow(client, backend), flow(backend, client)]
  const cut = (): void => {
    client.resetAndDestroy()
    backend.resetAndDestroy()
  }
  for (const socket of [client, backend]) {
    socket.setNoDelay(true)
    socket.on('error', cut)
    socket.on('close', hadError => {
      if (hadError) cut()
    })
  }
  const both = (change: (each: Flow) => void): void => flows.forEach(change)
  both(each => each.delay(weather.delayMs))
  if (weather.mode === 'paused') both(each => each.pause())
  if (weather.mode === 'blackhole') both(each => each.blackhole())
  const lostBytes = (): number => flows.reduce((sum, each) => sum + each.lostBytes(), 0)
  return {
    index,
    lostBytes,
    cut,
    pause: () => both(each => each.pause()),
    resume: () => {
      if (lostBytes() > 0) cut()
      else both(each => each.resume())
    },
    delay: ms => both(each => each.delay(ms)),
    blackhole: () => both(each => each.blackhole()),
  }
}
