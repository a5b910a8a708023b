import type { Student } from '@strata/school'
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { answer } from '../responses.ts'
import type { Services } from '../services.ts'
import { within } from '../within.ts'

/** Both servers are asked at once, so that the answer is there within 2 s whatever is down. */
const pingMsMax = 1500

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
      const up = async (server: string, ping: () => Promise<unknown>) => {
        try {
          await within(pingMsMax, { what: server, work: ping })
          return 'up' as const
        } catch (error) {
          log.warn({ err: error, server }, 'health')
          return 'down' as const
        }
      }
      const [mongo, redis] = await Promise.all([
        up('mongo', () => school.datasource.service.collection<Student>('students').findOne({ _id: '' })),
        up('redis', () => queues.lanes()),
      ])
      const isUp = mongo === 'up' && redis === 'up'
      return await reply.code(isUp ? 200 : 503).send({ status: isUp ? 'ok' : 'down', mongo, redis })
    },
  )
}
