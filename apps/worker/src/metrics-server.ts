import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { listenFailed } from '@strata/school'
import type { Metrics } from '@strata/school/metrics'

export interface MetricsServer {
  /** @throws LISTEN_FAILED */
  start(): Promise<{ readonly url: string } | undefined>
  stop(): Promise<void>
}

/** Serves the measurements at /metrics, for a worker has no other HTTP. Without a port it does nothing. */
export function metricsServer(
  metrics: Metrics,
  { host, port }: { host: string; port: number | undefined },
): MetricsServer {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end()
      return
    }
    metrics.text().then(
      text => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
      () => response.writeHead(500).end(),
    )
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
