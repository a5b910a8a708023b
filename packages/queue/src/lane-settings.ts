import { dbContextError } from '@strata/db-context'

/** At most `max` jobs are started in `durationMs`, over all processes. */
export interface LaneLimiter {
  readonly max: number
  readonly durationMs: number
}

/** Of each lane of a queue, its pushes and each level of its calls, on its own: shared, they would be a resource that links levels. */
export interface LaneOptions {
  /** Jobs at once a lane in this process: a whole number of at least 1, default 10. */
  readonly slots?: number
  readonly limiter?: LaneLimiter
}

export interface LanesOptions extends LaneOptions {
  /** What is different for some queues, by the queue's name. */
  readonly queues?: Readonly<Record<string, LaneOptions>>
}

export interface LaneSettings {
  readonly slots: number
  readonly limiter: LaneLimiter | undefined
}

const slotsDefault = 10

/** Tells the settings of each queue's lanes. @throws CONFIG */
export function readLaneSettings(given: LanesOptions = {}): (queue: string) => LaneSettings {
  const { queues = {}, ...all } = given
  const shared = { slots: all.slots ?? slotsDefault, limiter: all.limiter }
  check('lanes', shared)
  const own = new Map<string, LaneSettings>()
  for (const [queue, { slots = shared.slots, limiter = shared.limiter }] of Object.entries(queues)) {
    own.set(queue, check(`lanes.queues.${queue}`, { slots, limiter }))
  }
  return queue => own.get(queue) ?? shared
}

function check(option: string, settings: LaneSettings): LaneSettings {
  const { slots, limiter } = settings
  if (!isCount(slots)) throw wrong(`${option}.slots`, slots, 'a whole number of at least 1')
  if (limiter && !isCount(limiter.max))
    throw wrong(`${option}.limiter.max`, limiter.max, 'a whole number of at least 1')
  if (limiter && !isCount(limiter.durationMs)) {
    throw wrong(`${option}.limiter.durationMs`, limiter.durationMs, 'a whole number of at least 1 ms')
  }
  return settings
}

const isCount = (value: number) => Number.isInteger(value) && value >= 1

function wrong(option: string, got: unknown, expected: string) {
  return dbContextError('CONFIG', `Option ${option} is ${String(got)}, expected ${expected}`, {
    details: { option, got, expected },
  })
}
