import type { Redis } from 'ioredis'
import type { Recorded } from './history.ts'

const queue = 'work'

/** The lanes that were ever used, and the pushes' own. */
async function laneNames(redis: Redis, prefix: string): Promise<string[]> {
  return [queue, ...(await redis.smembers(`${prefix}:~lanes`))]
}

/** The jobs that wait, run or are put off, as `lane list id`. */
export async function openJobs(redis: Redis, prefix: string): Promise<string[]> {
  const jobs: string[] = []
  for (const lane of await laneNames(redis, prefix)) {
    const key = (part: string) => `${prefix}:${lane}:${part}`
    const add = (part: string, ids: readonly string[]) => jobs.push(...ids.map(id => `${lane} ${part} ${id}`))
    for (const list of ['wait', 'active', 'paused']) add(list, await redis.lrange(key(list), 0, -1))
    for (const set of ['delayed', 'prioritized']) add(set, await redis.zrange(key(set), 0, -1))
  }
  return jobs
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
