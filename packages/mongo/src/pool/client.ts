import { MongoClient } from 'mongodb'
import type { Settings } from '../options.ts'

/** What one client is opened for. */
export interface ClientSize {
  readonly max: number
  /** Connections that stand from the start. */
  readonly min: number
  readonly timeoutMs: number
  /** True where the driver's command events are listened to. */
  readonly watched: boolean
}

/** Beyond the server's own bound, so that only a server that answers no more is cut off by the socket. */
const socketGraceMs = 10_000
const connectTimeoutMs = 10_000

/**
 * Makes the client of one level with every bound set: the driver's own defaults wait without end for a connection, for
 * the majority and for a socket.
 */
export function createClient(settings: Settings, size: ClientSize): MongoClient {
  return new MongoClient(settings.url, {
    appName: settings.appName,
    maxPoolSize: size.max,
    minPoolSize: size.min,
    maxConnecting: 2,
    waitQueueTimeoutMS: size.timeoutMs,
    serverSelectionTimeoutMS: settings.serverSelectionTimeoutMs,
    connectTimeoutMS: connectTimeoutMs,
    socketTimeoutMS: settings.operationTimeoutMs + socketGraceMs,
    // Streaming costs a socket more for each client and server, and there is a client a level.
    serverMonitoringMode: 'poll',
    retryWrites: true,
    readConcern: { level: 'majority' },
    writeConcern: { w: 'majority', wtimeoutMS: settings.writeConcernTimeoutMs },
    monitorCommands: size.watched,
  })
}
