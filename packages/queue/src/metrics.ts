import { metrics, type ObservableResult } from '@opentelemetry/api'

// Only the API: an instrument belongs to the provider that is registered when this module loads, or does nothing.
const meter = metrics.getMeter('@strata/queue')

/** From `pushAsync` to its end, by job, level and `ok` or the error's code. */
export const callDuration = meter.createHistogram('strata.queue.call.duration', {
  description: 'From a call to its result',
  unit: 's',
})

/** One run of a handler, by job, level and `ok` or the error's code. */
export const jobDuration = meter.createHistogram('strata.queue.job.duration', {
  description: 'One run of a handler',
  unit: 's',
})

/** Handlers that went on after their deadline and the grace after it, by job and level. */
export const leaks = meter.createCounter('strata.queue.leaks', {
  description: 'Handlers that ignored their signal and lost their slot',
})

/** Jobs that this process found without the lock that their worker renews, by lane. */
export const stalls = meter.createCounter('strata.queue.stalls', {
  description: 'Jobs whose worker is gone or whose event loop was blocked, found by this process',
})

/** Jobs and replies that were refused for what they are, by the error's code. */
export const refusals = meter.createCounter('strata.queue.refusals', {
  description: 'Jobs and replies that were refused for what they are',
})

const laneActive = meter.createObservableGauge('strata.queue.lane.active', { description: 'Slots of a lane in use' })
const laneSlots = meter.createObservableGauge('strata.queue.lane.slots', { description: 'Slots of a lane' })
const laneWaiting = meter.createObservableGauge('strata.queue.lane.waiting', {
  description: 'Jobs that wait in a lane, whichever process will run them',
})
const callsWaiting = meter.createObservableGauge('strata.queue.calls.waiting', {
  description: 'Calls of this process that wait for their result',
})

export interface LaneReading {
  readonly lane: string
  readonly queue: string
  readonly level: number
  readonly slots: number
  readonly active: number
}

/** Reports the lanes of a worker until the returned function is called. */
export function observeLanes(
  read: () => readonly LaneReading[],
  readWaiting: () => Promise<readonly (LaneReading & { waiting: number })[]>,
): () => void {
  const active = (result: ObservableResult) => {
    for (const { active, slots: _, ...labels } of read()) result.observe(active, labels)
  }
  const slots = (result: ObservableResult) => {
    for (const { slots, active: _, ...labels } of read()) result.observe(slots, labels)
  }
  const waiting = async (result: ObservableResult) => {
    if (read().length === 0) return
    for (const { waiting, slots: _slots, active: _active, ...labels } of await readWaiting())
      result.observe(waiting, labels)
  }
  laneActive.addCallback(active)
  laneSlots.addCallback(slots)
  laneWaiting.addCallback(waiting)
  return () => {
    laneWaiting.removeCallback(waiting)
    laneActive.removeCallback(active)
    laneSlots.removeCallback(slots)
  }
}

/** Reports how many calls wait until the returned function is called. */
export function observeCalls(read: () => number): () => void {
  const waiting = (result: ObservableResult) => result.observe(read())
  callsWaiting.addCallback(waiting)
  return () => callsWaiting.removeCallback(waiting)
}
