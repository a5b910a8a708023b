import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import type { Services } from '../services.ts'

const mediaType = 'text/plain; version=0.0.4; charset=utf-8'

export const metricRoutes: FastifyPluginAsyncZod<Services> = async (app, { metrics }) => {
  app.get(
    '/metrics',
    {
      // The app's own would make a JSON text of it.
      serializerCompiler: () => String,
      schema: {
        summary: 'What this process has measured, as Prometheus reads it',
        response: { 200: { description: 'Metrics', content: { 'text/plain': { schema: z.string() } } } },
      },
    },
    async (_request, reply) => reply.type(mediaType).send(await metrics.text()),
  )
}
