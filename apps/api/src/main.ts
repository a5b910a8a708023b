import './measuring.ts'

import { listenFailed, reportFailedStart, stopAtProcessEnd } from '@strata/school'
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { type Config, readConfig } from './config.ts'
import { openServices, type Services } from './services.ts'

/** More than what follows the requests ever takes: 3.5 s, and far less while the servers answer. */
const closeMsMax = 10_000
/** For the last answers to leave. */
const flushMs = 300

async function main(): Promise<void> {
  const config = readConfig(process.env)
  const services = openServices(config)
  const app = await buildApp(services)
  const { requestsStopMs } = config
  const patience = new AbortController()
  const stop = async () => {
    setTimeout(() => patience.abort(), requestsStopMs).unref()
    await closeServer(app, services, patience.signal)
    await services.stop()
  }
  const stopMsMax = requestsStopMs + closeMsMax
  stopAtProcessEnd(services.log, { stop, cutShort: () => patience.abort(), stopMsMax })
  try {
    await services.start()
    const url = await listen(app, config)
    services.log.info({ url }, 'Listening')
    process.send?.({ type: 'listening', url })
  } catch (error) {
    await stop().catch(() => {})
    throw error
  }
}

/** @throws LISTEN_FAILED */
async function listen(app: FastifyInstance, { host, port }: Config): Promise<string> {
  try {
    return await app.listen({ host, port })
  } catch (cause) {
    throw listenFailed({ host, port, change: 'PORT or HOST' }, cause)
  }
}

/**
 * Takes no more connections and lets the requests under way end; those that do not in time are given up, and answered so.
 * Their senders are answered before their work has cleaned up after itself, so that is waited for too.
 */
async function closeServer(app: FastifyInstance, services: Services, outOfTime: AbortSignal): Promise<void> {
  const closed = app.close()
  const giveUp = () => {
    void services.giveUp()
    setTimeout(() => app.server.closeAllConnections(), flushMs).unref()
  }
  outOfTime.addEventListener('abort', giveUp)
  await closed
  outOfTime.removeEventListener('abort', giveUp)
  await services.giveUp()
}

main().catch(error => {
  reportFailedStart(error)
  process.exit()
})
