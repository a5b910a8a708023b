import type { Redis } from 'ioredis'
import type { Recorded } from './history.ts'

const queue = 'work'

/** The lanes that were ever used, and the pushes' own. */
async function laneNames(redis: Redis, prefix: string): Promise<string[]> {
  return [queue, ...(await redis.smembers(`${prefix}:~lanes`))]
}

/** How many jobs wait, run or are put off in all lanes. */
export async function openJobs(redis: Redis, prefix: string): Promise<number> {
  const lanes = await laneNames(redis, prefix)
  const counts = await Promise.all(
    lanes.flatMap(lane => [
      ...['wait', 'active', 'paused'].map(list => redis.llen(`${prefix}:${lane}:${list}`)),
      ...['delayed', 'prioritized'].map(set => redis.zcard(`${prefix}:${lane}:${set}`)),
    ]),
  )
  return counts.reduce((sum, count) => sum + count, 0)
}

/** What is recorded of the jobs that have ended, by the id of the call. */
export async function readRecords(redis: Redis, prefix: string): Promise<Map<string, Recorded>> {
  const records = new Map<string, Recorded>()
  for (const lane of await laneNames(redis, prefix)) {
    for (const state of ['completed', 'failed'] as const) {
      for (const job of await redis.zrange(`${prefix}:${lane}:${state}`, 0, -1)) {
        const [data, finishedOn] = await redis.hmget(`${prefix}:${lane}:${job}`, 'data', 'finishedOn')
        const { id } = JSON.parse(data ?? '{}') as { id?: string }
        if (id !== undefined) records.set(id, { state, finishedAt: Number(finishedOn) })
      }
    }
  }
  return records
}
