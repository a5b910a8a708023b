import './measuring.ts'

import { listenFailed, reportFailedStart, stopAtProcessEnd } from '@strata/school'
import type { FastifyInstance } from 'fastify'
import { buildApp } from './app.ts'
import { type Config, readConfig } from './config.ts'
import { openServices, type Services } from './services.ts'

/** For requests under way to end by themselves; what follows takes 3 s at most. */
const requestsStopMs = 2000
/** For the last answers to leave. */
const flushMs = 300

async function main(): Promise<void> {
  const config = readConfig(process.env)
  const services = openServices(config)
  const app = await buildApp(services)
  const stop = async () => {
    await closeServer(app, services)
    await services.stop()
  }
  stopAtProcessEnd(services.log, stop)
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

/** Takes no more connections and lets the requests under way end; those that do not in time are given up, and answered so. */
async function closeServer(app: FastifyInstance, services: Services): Promise<void> {
  const closed = app.close()
  const giveUp = async () => {
    await services.giveUp()
    setTimeout(() => app.server.closeAllConnections(), flushMs)
  }
  const timer = setTimeout(() => void giveUp(), requestsStopMs)
  await closed
  clearTimeout(timer)
}

main().catch(error => {
  reportFailedStart(error)
  process.exit()
})
