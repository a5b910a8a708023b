import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { FastifyAdapter } from '@bull-board/fastify'
import type { Queues } from '@strata/queue'
import { Queue } from 'bullmq'
import { type FastifyInstance, fastify } from 'fastify'

/** A dashboard of all lanes. It asks nobody for a password: put it behind what does. */
export async function openDashboard(queues: Queues, redis: { url: string; prefix: string }): Promise<FastifyInstance> {
  const lanes = await queues.lanes()
  const opened = lanes.map(({ lane }) => new Queue(lane, { connection: { url: redis.url }, prefix: redis.prefix }))
  // Whoever waits for a call holds something meanwhile: the lanes of calls are to look at only.
  const shown = opened.map(lane => new BullMQAdapter(lane, { readOnlyMode: lane.name.includes('~'), delimiter: '~' }))
  const adapter = new FastifyAdapter()
  adapter.setBasePath('/board')
  createBullBoard({ queues: shown, serverAdapter: adapter })
  const app = fastify()
  await app.register(adapter.registerPlugin(), { prefix: '/board' })
  app.addHook('onClose', async () => {
    await Promise.all(opened.map(lane => lane.close()))
  })
  return app
}
