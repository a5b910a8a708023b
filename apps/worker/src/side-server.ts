import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Health, listenFailed } from '@strata/school'
import type { Metrics } from '@strata/school/metrics'

/** What the worker process tells over HTTP, for it has no other. */
export interface SideServer {
  /** @throws LISTEN_FAILED */
  start(): Promise<{ readonly url: string } | undefined>
  stop(): Promise<void>
}

/** `starting` before the worker takes jobs, `stopping` when it takes no more. */
export type WorkerHealth = Health | { readonly status: 'starting' | 'stopping' }

interface SideServerOptions {
  readonly metrics: Metrics
  readonly health: () => Promise<WorkerHealth>
  readonly host: string
  readonly port: number | undefined
}

/**
 * Serves `/live` (the event loop runs), `/health` (the worker takes jobs and its servers answer: 200, else 503) and `/metrics`.
 * Without a port it does nothing.
 */
export function sideServer({ metrics, health, host, port }: SideServerOptions): SideServer {
  const routes: Readonly<Record<string, (response: ServerResponse) => Promise<unknown>>> = {
    '/live': async response => json(response, 200, { status: 'ok' }),
    '/health': async response => {
      const found = await health()
      json(response, found.status === 'ok' ? 200 : 503, found)
    },
    '/metrics': async response => {
      const text = await metrics.text()
      response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text)
    },
  }
  const server = createServer((request, response) => {
    const route = Object.hasOwn(routes, request.url ?? '') ? routes[request.url ?? ''] : undefined
    if (route === undefined) response.writeHead(404).end()
    else route(response).catch(() => response.writeHead(500).end())
  })
  return {
    start: async () => {
      if (port === undefined) return undefined
      try {
        await once(server.listen(port, host), 'listening')
      } catch (cause) {
        throw listenFailed({ host, port, change: 'METRICS_PORT or HOST' }, cause)
      }
      return { url: `http://${host}:${(server.address() as AddressInfo).port}/metrics` }
    },
    stop: async () => {
      if (!server.listening) return
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const json = (response: ServerResponse, status: number, body: object) =>
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
