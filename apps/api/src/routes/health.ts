import { pingMsMax, readHealth } from '@strata/school'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { answer } from '../responses.ts'
import type { Services } from '../services.ts'

const state = z.enum(['up', 'down'])
const health = z.object({ status: z.enum(['ok', 'down']), mongo: state, redis: state })

export const healthRoutes: FastifyPluginAsyncZod<Services> = async (app, { school, queues, log }) => {
  app.get(
    '/live',
    {
      schema: {
        summary: 'Whether the process runs',
        response: { 200: answer(z.object({ status: z.literal('ok') }), { status: 'ok' }) },
      },
    },
    async () => ({ status: 'ok' as const }),
  )

  app.get(
    '/health',
    {
      schema: {
        summary: 'Whether MongoDB and Redis answer',
        description: `Each of the two counts as down when it has not answered within ${pingMsMax} ms.`,
        response: {
          200: answer(health, { status: 'ok', mongo: 'up', redis: 'up' }),
          503: answer(health, { status: 'down', mongo: 'up', redis: 'down' }),
        },
      },
    },
    async (_request, reply) => {
      const found = await readHealth({ school, redis: () => queues.lanes(), log })
      return await reply.code(found.status === 'ok' ? 200 : 503).send(found)
    },
  )
}
