import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { answer, problems } from '../responses.ts'
import type { Services } from '../services.ts'
import { within } from '../within.ts'

const count = z.int().min(0)
const pool = z.object({ datasource: z.string(), level: count, max: count, inUse: count, waiting: count })
/** Redis is asked for the lanes; a picture of the pools alone would look like one without lanes. */
const lanesMsMax = 2000

const lane = z.object({
  lane: z.string(),
  queue: z.string(),
  level: count,
  slots: count,
  active: count,
  waiting: count,
})
const levels = answer(
  z.object({
    isolation: z.enum(['levels', 'none']),
    levelsMax: count,
    pools: z.array(pool),
    servicePools: z.array(pool.omit({ level: true })),
    lanes: z.array(lane),
  }),
  {
    isolation: 'levels',
    levelsMax: 1,
    pools: [
      { datasource: 'school', level: 0, max: 10, inUse: 1, waiting: 0 },
      { datasource: 'school', level: 1, max: 10, inUse: 0, waiting: 0 },
    ],
    servicePools: [{ datasource: 'school', max: 2, inUse: 0, waiting: 0 }],
    lanes: [{ lane: 'student.rename~1', queue: 'student.rename', level: 1, slots: 10, active: 1, waiting: 0 }],
  },
)

export const levelRoutes: FastifyPluginAsyncZod<Services> = async (app, { school: { db }, queues }) => {
  app.get(
    '/levels',
    {
      schema: {
        summary: 'Who holds and who waits at this moment',
        description:
          'The pools are those of this process. The lanes are those of all worker processes together: `slots` is what they serve a lane with at once.',
        response: { 200: levels, ...problems('ANSWER_LATE', 'INTERNAL') },
      },
    },
    async () => {
      const states = db.pools()
      return {
        isolation: db.isolation,
        levelsMax: db.levelsMax,
        pools: states.flatMap(({ level, ...state }) => (level === 'service' ? [] : [{ ...state, level }])),
        servicePools: states.flatMap(({ level, ...state }) => (level === 'service' ? [state] : [])),
        lanes: await within(lanesMsMax, { what: 'Redis', work: () => queues.lanes() }),
      }
    },
  )
}
