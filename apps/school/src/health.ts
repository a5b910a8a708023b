import type { Student } from './collections.ts'
import { endsWithin } from './ends-within.ts'
import type { Logger } from './log.ts'
import type { School } from './school.ts'

/** Both servers are asked at once, so that the answer is there within 2 s whatever is down. */
export const pingMsMax = 1500

type State = 'up' | 'down'

/** Whether the servers that a process works with answer it. */
export interface Health {
  readonly status: 'ok' | 'down'
  readonly mongo: State
  readonly redis: State
}

export interface HealthOptions {
  readonly school: Pick<School, 'datasource'>
  /** Asks Redis anything. */
  readonly redis: () => Promise<unknown>
  readonly log: Logger
}

/** Asks MongoDB, on the service pool, and Redis. Never rejects; resolves within 2 s. */
export async function readHealth({ school, redis, log }: HealthOptions): Promise<Health> {
  const stateOf = async (server: string, ping: () => Promise<unknown>): Promise<State> => {
    try {
      if (await endsWithin(pingMsMax, ping)) return 'up'
      log.warn({ server, pingMsMax }, 'No answer in time')
    } catch (error) {
      log.warn({ err: error, server }, 'No answer')
    }
    return 'down'
  }
  const [mongoState, redisState] = await Promise.all([
    stateOf('mongo', () => school.datasource.service.collection<Student>('students').findOne({ _id: '' })),
    stateOf('redis', redis),
  ])
  const isUp = mongoState === 'up' && redisState === 'up'
  return { status: isUp ? 'ok' : 'down', mongo: mongoState, redis: redisState }
}
