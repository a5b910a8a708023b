import { randomUUID } from 'node:crypto'
import { dbContextError, type Propagator } from '@strata/db-context'
import type { Redis } from 'ioredis'
import { answersNow } from './answers.ts'
import { late, within } from './bound.ts'
import { RedisClock } from './clock.ts'
import { GivenUpCalls } from './given-up.ts'
import { Handlers, type Handling } from './handlers.ts'
import { createKeys, type Keys } from './keys.ts'
import { fetcherSlots, type Lane, pushLane, stopOrder } from './lane.ts'
import type { LaneSettings } from './lane-settings.ts'
import { type LaneState, readLanesInTime } from './lane-state.ts'
import { LaneWatch } from './lane-watch.ts'
import type { LaneReading } from './metrics.ts'
import { type FetcherOptions, OpenLane } from './open-lane.ts'
import { outside } from './outside.ts'
import { Presence } from './presence.ts'
import { addressOf, closeRedis, inReach, openRedis, probeRedis, type RedisSettings, reachRedis } from './redis.ts'
import { queueError } from './registry.ts'
import type { Report } from './report.ts'
import type { RunningJob } from './run.ts'
import { Runner } from './runner.ts'
import { checkServer } from './server-check.ts'

const renewMs = 5000

/** Together below a second: how long jobs have, once aborted, to be handed back, and what is left after the last lane. */
const handBackMs = 500
const leaveMs = 300
/** With time left to the deadline. */
const leaveMsMax = 1500

export interface ServingOptions {
  readonly propagator: Propagator
  readonly laneSettings: (queue: string) => LaneSettings
  readonly graceMs: number
  readonly payloadBytesMax: number
  readonly fetcher: Omit<FetcherOptions, 'prefix' | 'skipVersionCheck' | 'payloadBytesMax'>
  readonly report: Report
}

/** What a worker process runs: the lanes that are open, what runs in them, and the watch for new ones. */
export class Serving {
  readonly #options: ServingOptions
  readonly #keys: Keys
  readonly #redis: Redis
  readonly #subscriber: Redis
  readonly #clock = new RedisClock()
  readonly #handlers = new Handlers()
  readonly #runner: Runner
  readonly #watch: LaneWatch
  readonly #givenUp: GivenUpCalls
  readonly #lanes = new Map<string, OpenLane>()
  readonly #id = randomUUID()
  #tellsInfo = true
  #presence: Presence | undefined
  #renewing: NodeJS.Timeout | undefined
  #starting: Promise<void> | undefined
  #stopping: Promise<void> | undefined
  /** On `performance.now()`. */
  #stopBy = Number.POSITIVE_INFINITY
  #shorten: (() => void) | undefined
  /** Call lanes down to this level are closed, or closing. */
  #closedTo = 0

  constructor(settings: RedisSettings, options: ServingOptions) {
    this.#options = options
    this.#keys = createKeys(settings.prefix)
    this.#redis = openRedis(settings, 'worker', options.report)
    this.#subscriber = openRedis(settings, 'lanes', options.report)
    const shared = { redis: this.#redis, keys: this.#keys, report: options.report }
    this.#runner = new Runner({
      ...shared,
      propagator: options.propagator,
      handlers: this.#handlers,
      clock: this.#clock,
      graceMs: options.graceMs,
      payloadBytesMax: options.payloadBytesMax,
    })
    this.#givenUp = new GivenUpCalls({
      ...shared,
      clock: this.#clock,
      isNeeded: () => this.#runner.isBusy,
      found: callId => this.#runner.giveUp(callId),
    })
    this.#watch = new LaneWatch({ ...shared, subscriber: this.#subscriber, found: lane => this.#open(lane) })
  }

  /** @throws CONFIG after the start: a lane may have been served without this handler by then */
  handle(handling: Handling): void {
    if (this.#starting !== undefined) {
      throw dbContextError('CONFIG', `Handler of ${handling.job.name} was set after start: set all handlers before it`)
    }
    this.#handlers.add(handling)
  }

  start(): Promise<void> {
    if (this.#stopping !== undefined)
      return Promise.reject(queueError('QUEUE_STOPPED', 'Worker is stopped: make a new one'))
    this.#starting ??= this.#start()
    return this.#starting
  }

  stop(options: { deadlineMs: number; allAtOnce: boolean }): Promise<void> {
    this.#stopBy = Math.min(this.#stopBy, performance.now() + options.deadlineMs)
    this.#shorten?.()
    this.#stopping ??= this.#stop(options)
    return this.#stopping
  }

  get running(): RunningJob[] {
    return this.#runner.running
  }

  get readings(): LaneReading[] {
    return [...this.#lanes.values()].map(({ lane: { name, queue, level }, slots, active }) => ({
      lane: name,
      queue,
      level,
      slots,
      active,
    }))
  }

  async lanes(): Promise<LaneState[]> {
    const all = await readLanesInTime(this.#redis, { keys: this.#keys, now: this.#clock.now() })
    const waiting = new Map(all.map(lane => [lane.lane, lane.waiting]))
    return this.readings.map(reading => ({ ...reading, waiting: waiting.get(reading.lane) ?? 0 }))
  }

  async #start(): Promise<void> {
    try {
      await Promise.all([reachRedis(this.#redis), reachRedis(this.#subscriber)])
      // Each fetcher waits on a copy of this connection. BullMQ connects a lazy copy by itself, once: a first try that failed
      // left the lane unserved for good. A copy that is not lazy tries until it succeeds.
      this.#redis.options.lazyConnect = false
      const { tellsInfo } = await checkServer(this.#redis, addressOf(this.#redis), this.#options.report)
      this.#tellsInfo = tellsInfo
      const presence = new Presence(this.#redis, {
        keys: this.#keys,
        id: this.#id,
        role: 'worker',
        propagator: this.#options.propagator,
        connections: this.#connectionsMax(),
        lanes: () => Object.fromEntries(this.readings.map(({ lane, slots }) => [lane, slots])),
      })
      const entering = [this.#clock.sync(this.#redis), presence.enter(this.#options.report)]
      await inReach(this.#redis, Promise.all(entering))
      this.#presence = presence
      for (const queue of this.#handlers.queues) this.#open(pushLane(queue, this.#options.propagator.isolated))
      await inReach(this.#subscriber, this.#watch.start())
      this.#givenUp.start()
      await inReach(this.#redis, Promise.all([...this.#lanes.values()].map(lane => lane.ready())))
      await inReach(this.#redis, presence.renew())
      this.#renewing = outside(() => setInterval(() => this.#renew(), renewMs).unref())
    } catch (error) {
      await this.stop({ deadlineMs: 0, allAtOnce: true })
      throw error
    }
  }

  /** Every lane that may ever open here: one of pushes and one a level for each queue. */
  #connectionsMax(): number {
    const { propagator, laneSettings } = this.#options
    const lanes = propagator.isolated ? propagator.levelsMax + 1 : 1
    const fetchers = this.#handlers.queues.map(queue => fetcherSlots(laneSettings(queue).slots).length)
    return 2 + lanes * fetchers.reduce((sum, count) => sum + count, 0)
  }

  #open(lane: Lane): void {
    const { propagator, laneSettings, fetcher, payloadBytesMax, report } = this.#options
    if (this.#lanes.has(lane.name) || !this.#handlers.serves(lane.queue)) return
    // A lane of the other isolation, or a forged one: whoever may serve it, this process must not.
    if (lane.kind === 'call' && (!propagator.isolated || lane.level > propagator.levelsMax)) return
    if (this.#stopping && (lane.kind !== 'call' || lane.level <= this.#closedTo)) return
    const options = {
      ...laneSettings(lane.queue),
      redis: this.#redis,
      fetcher: { ...fetcher, payloadBytesMax, prefix: this.#keys.prefix, skipVersionCheck: !this.#tellsInfo },
      report,
    }
    const opened = new OpenLane(lane, this.#runner, options)
    this.#lanes.set(lane.name, opened)
    const told = opened.ready().then(() => this.#presence?.renew())
    told.catch(error => report(error, `Opening lane ${lane.name}`))
  }

  #renew(): void {
    const tasks = [probeRedis(this.#redis), this.#presence?.renew(), this.#clock.sync(this.#redis)]
    for (const task of tasks) task?.catch(error => this.#options.report(error, 'Renewing the worker'))
  }

  async #stop({ allAtOnce }: { allAtOnce: boolean }): Promise<void> {
    try {
      await this.#closeInTime(allAtOnce)
    } finally {
      // Whatever a lane's closing ended with: nothing may go on, or keep the process.
      this.#watch.stop()
      this.#givenUp.stop()
      clearInterval(this.#renewing)
      const leftMs = Math.max(leaveMs, Math.min(leaveMsMax, this.#stopBy - performance.now()))
      await within(leftMs, this.#leave())
      this.#redis.disconnect()
      this.#subscriber.disconnect()
    }
  }

  async #closeInTime(allAtOnce: boolean): Promise<void> {
    const closing = allAtOnce ? this.#closeAll() : this.#closeInOrder()
    if (await this.#endsInTime(closing)) return
    // Closed first, so that no fetcher here takes a job that is handed back.
    const closed = this.#closeAll()
    this.#runner.handBack()
    const canHandBack = await answersNow(this.#redis)
    if (!canHandBack || (await within(handBackMs, closed)) === late) this.#dropAll()
  }

  async #leave(): Promise<void> {
    const isThere = this.#presence && this.#redis.status === 'ready'
    if (isThere) await this.#presence?.leave().catch(error => this.#options.report(error, 'Leaving as a worker'))
    await Promise.allSettled([closeRedis(this.#redis), closeRedis(this.#subscriber)])
  }

  /** Waits for the closing until the deadline of the stop, which a second stop may bring forward; false at the deadline. */
  async #endsInTime(closing: Promise<void>): Promise<boolean> {
    for (;;) {
      const { promise: shortened, resolve } = Promise.withResolvers<typeof late>()
      this.#shorten = () => resolve(late)
      const end = await within(Math.max(0, this.#stopBy - performance.now()), Promise.race([closing, shortened]))
      if (end !== late) return true
      if (this.#stopBy <= performance.now()) return false
    }
  }

  /** Lanes that open meanwhile are deeper than those that are closed, and join the order. */
  async #closeInOrder(): Promise<void> {
    for (;;) {
      const [next] = stopOrder([...this.#lanes.values()])
      if (!next) return
      this.#closedTo = Math.max(this.#closedTo, ...next.map(({ lane }) => (lane.kind === 'call' ? lane.level : 0)))
      await this.#closeGroup(next)
    }
  }

  async #closeAll(): Promise<void> {
    this.#closedTo = Number.POSITIVE_INFINITY
    await this.#closeGroup([...this.#lanes.values()])
  }

  async #closeGroup(lanes: readonly OpenLane[]): Promise<void> {
    const { report } = this.#options
    // One that cannot be closed in order is cut off with the connections, and must not keep the others from it.
    const closing = lanes.map(lane => lane.close().catch(error => report(error, `Closing lane ${lane.lane.name}`)))
    await Promise.all(closing)
    for (const { lane } of lanes) this.#lanes.delete(lane.name)
  }

  /** Their locks end by themselves, and others run what runs here. */
  #dropAll(): void {
    for (const lane of this.#lanes.values()) void lane.drop()
  }
}
