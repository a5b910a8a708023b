import type { FastifyInstance } from 'fastify'
import type { Services } from './services.ts'

/** One line and one measurement a request. */
export function requestLog(app: FastifyInstance, { metrics }: Services): void {
  const durations = metrics.meter.createHistogram('http.server.request.duration', {
    description: 'Time from the arrival of a request to the end of its answer',
    unit: 's',
  })
  app.addHook('onResponse', async (request, reply) => {
    const { method, url } = request
    const status = reply.statusCode
    const route = request.routeOptions.url ?? 'none'
    durations.record(reply.elapsedTime / 1000, {
      'http.request.method': method,
      'http.route': route,
      'http.response.status_code': status,
    })
    request.log.info({ method, url, status, ms: Math.round(reply.elapsedTime) }, 'request')
  })
}
