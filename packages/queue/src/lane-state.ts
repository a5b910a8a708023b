import type { Redis } from 'ioredis'
import { late, within } from './bound.ts'
import type { Keys } from './keys.ts'
import { type Lane, parseCallLane } from './lane.ts'
import { readLaneSlots } from './presence.ts'
import { queueError } from './registry.ts'

/** What `/levels` shows of a lane. */
export interface LaneState {
  /** The BullMQ queue: `q` for pushes, `q~1` and deeper for calls. */
  readonly lane: string
  readonly queue: string
  readonly level: number
  readonly slots: number
  readonly active: number
  readonly waiting: number
}

const readMsMax = 2000

/** @throws REDIS_TIMEOUT */
export async function readLanesInTime(redis: Redis, options: { keys: Keys; now: number }): Promise<LaneState[]> {
  const lanes = await within(readMsMax, readLanes(redis, options))
  if (lanes !== late) return lanes
  throw queueError('REDIS_TIMEOUT', `Redis did not tell the lanes within ${readMsMax} ms`, {
    outcome: 'not-applied',
    details: { timeoutMs: readMsMax },
  })
}

/** All lanes that some live process serves or that were ever called, over all processes. */
async function readLanes(redis: Redis, options: { keys: Keys; now: number }): Promise<LaneState[]> {
  const { keys } = options
  const [slots, called] = await Promise.all([readLaneSlots(redis, options), redis.smembers(keys.lanes)])
  const lanes = called.filter(name => parseCallLane(name) !== undefined)
  const names = [...new Set([...slots.keys(), ...lanes])].sort()
  const pipeline = redis.pipeline()
  for (const name of names) {
    pipeline.llen(keys.bullmq(name, 'active'))
    pipeline.llen(keys.bullmq(name, 'wait'))
    pipeline.zcard(keys.bullmq(name, 'prioritized'))
  }
  const counts = ((await pipeline.exec()) ?? []).map(([, count]) => (typeof count === 'number' ? count : 0))
  return names.map((lane, index) => {
    const [active = 0, wait = 0, prioritized = 0] = counts.slice(index * 3, index * 3 + 3)
    const { queue, level }: Pick<Lane, 'queue' | 'level'> = parseCallLane(lane) ?? { queue: lane, level: 1 }
    return { lane, queue, level, slots: slots.get(lane) ?? 0, active, waiting: wait + prioritized }
  })
}
