import { randomUUID } from 'node:crypto'
import { deadlineIn, type Propagator, remainingMs } from '@strata/db-context'
import type { Redis } from 'ioredis'
import { answersNow } from './answers.ts'
import { late, within } from './bound.ts'
import { Call, type CallOptions, type GiveUp } from './call.ts'
import { CallWatch, lookMsFirst, resultLost } from './call-watch.ts'
import { cancelJob } from './cancel.ts'
import { RedisClock } from './clock.ts'
import { createKeys, type Keys } from './keys.ts'
import { LaneQueues } from './lane-queues.ts'
import { refusals } from './metrics.ts'
import { MinuteLog } from './minute-log.ts'
import type { Outbox } from './outbox.ts'
import { outside } from './outside.ts'
import { Presence } from './presence.ts'
import { addressOf, closeRedis, inReach, openRedis, probeRedis, type RedisSettings, reachRedis } from './redis.ts'
import { queueError } from './registry.ts'
import { type RecordedEnd, readReply } from './reply.ts'
import { greeting, ReplyReader } from './reply-reader.ts'
import type { Report } from './report.ts'
import { Rounds } from './rounds.ts'
import { checkServer } from './server-check.ts'
import { ServerIdentity } from './server-identity.ts'

/** The stream of a process that was killed goes away by itself after this; a live one renews it. */
const streamTtlSeconds = 60
const renewMs = 5000

const sweepMs = 500

/** How long past its deadline a call may ask Redis what became of its job: of its second, the rest is for a machine that is busy. */
const lastLookMs = 700

/** Together with Redis's answer below a second: what a stop may take beyond its deadline. */
const stopLookMs = 350
const closeMs = 200
/** With time left to the deadline. */
const closeMsMax = 1500

/** What a reply may be longer than its value: an error with its causes is bounded by less. */
const replyRoom = 1_048_576

export interface CallerOptions {
  readonly propagator: Propagator
  readonly callsMax: number
  readonly payloadBytesMax: number
  readonly outbox: Outbox | undefined
  readonly report: Report
}

/** Everything a process needs to send jobs and get their results: two connections, one stream, the calls that wait. */
export class Caller {
  readonly id = randomUUID()
  readonly propagator: Propagator
  readonly keys: Keys
  readonly redis: Redis
  readonly clock = new RedisClock()
  readonly lanes: LaneQueues
  readonly server: ServerIdentity
  readonly payloadBytesMax: number
  readonly outbox: Outbox | undefined
  readonly #callsMax: number
  readonly #report: Report
  readonly #log: MinuteLog
  readonly #reader: ReplyReader
  readonly #readerRedis: Redis
  readonly #presence: Presence
  readonly #watch: CallWatch
  readonly #calls = new Map<string, Call>()
  #starting: Promise<void> | undefined
  readonly #renewing: Rounds
  readonly #sweeping: Rounds
  #timers: NodeJS.Timeout[] = []
  #stopping: Promise<void> | undefined
  #idle: (() => void) | undefined
  #trimmedTo = '0-0'

  constructor(settings: RedisSettings, options: CallerOptions) {
    const { propagator, report } = options
    this.propagator = propagator
    this.payloadBytesMax = options.payloadBytesMax
    this.outbox = options.outbox
    this.#callsMax = options.callsMax
    this.#report = report
    this.#log = new MinuteLog(report)
    this.keys = createKeys(settings.prefix)
    this.redis = openRedis(settings, 'queues', report)
    this.#readerRedis = openRedis(settings, 'replies', report)
    this.lanes = new LaneQueues(this.redis, this.keys, report)
    this.server = new ServerIdentity(this.redis)
    this.#watch = new CallWatch({
      ...this,
      calls: () => this.#calls.values(),
      catchUp: () => this.#reader.catchUp(this.redis),
      meetServer: call => this.#meetServer([call]),
      report,
    })
    this.#renewing = new Rounds(this.redis, { what: 'Renewing the queues', work: () => this.#renew(), report })
    this.#sweeping = new Rounds(this.redis, { what: 'Looking calls up', work: () => this.#sweep(), report })
    this.#presence = new Presence(this.redis, {
      keys: this.keys,
      id: this.id,
      role: 'queues',
      propagator,
      connections: 2,
      lanes: () => ({}),
    })
    this.#reader = new ReplyReader(this.#readerRedis, {
      key: this.keys.replies(this.id),
      deliver: (callId, text) => this.#deliver(callId, text),
      report,
    })
  }

  /** Connects once; a failed start is tried anew by the next call. @throws REDIS_UNREACHABLE, REDIS_SETTING, CONNECTION_BUDGET, CONFIG, QUEUE_STOPPED */
  start(): Promise<void> {
    if (this.#stopping !== undefined) return Promise.reject(stopped())
    this.#starting ??= this.#start().catch(error => {
      this.#starting = undefined
      throw error
    })
    return this.#starting
  }

  get isStopping(): boolean {
    return this.#stopping !== undefined
  }

  get waiting(): readonly Call[] {
    return [...this.#calls.values()]
  }

  get waitingCount(): number {
    return this.#calls.size
  }

  /**
   * Lets a call wait from now on: before its job is added, so that no reply can come too early.
   *
   * @throws CALLS_LIMIT
   */
  open(options: Omit<CallOptions, 'onGiveUp' | 'onSettled'>): Call {
    if (this.#calls.size >= this.#callsMax) throw tooManyCalls(options.job.name, this.#callsMax)
    const call = new Call({
      ...options,
      onGiveUp: (given, why) => void this.#giveUp(given, why).catch(error => given.fail(error)),
      onSettled: ({ id }) => {
        this.#calls.delete(id)
        if (this.#calls.size === 0) this.#idle?.()
      },
    })
    if (call.isOpen) this.#calls.set(call.id, call)
    return call
  }

  /** From now on the job's record is looked at now and then, in case its reply does not come. */
  watch(call: Call, firstMs = lookMsFirst): void {
    call.become('added', this.server.known)
    call.lookAt = performance.now() + firstMs
  }

  stop(deadlineMs: number): Promise<void> {
    this.#stopping ??= this.#stop(deadlineMs)
    return this.#stopping
  }

  async #start(): Promise<void> {
    await Promise.all([reachRedis(this.redis), reachRedis(this.#readerRedis)])
    const { tellsInfo } = await checkServer(this.redis, addressOf(this.redis), this.#report)
    this.lanes.skipVersionCheck = !tellsInfo
    const entering = [this.clock.sync(this.redis), this.#presence.enter(this.#report), this.#keepStream()]
    await inReach(this.redis, Promise.all([...entering, this.server.read()]))
    this.#reader.start()
    outside(() => {
      const renew = () => {
        // On its own: it is what ends a round that a dead connection keeps open.
        probeRedis(this.redis).catch(error => this.#report(error, 'Renewing the queues'))
        this.#renewing.run()
      }
      this.#timers = [setInterval(renew, renewMs), setInterval(() => this.#sweeping.run(), sweepMs)]
      for (const timer of this.#timers) timer.unref()
      this.redis.on('ready', () => {
        this.#meetServer([...this.#calls.values()]).catch(error => this.#report(error, 'Reading which server answers'))
      })
      this.#readerRedis.on('ready', () => {
        this.#watch.doubt()
        for (const call of this.#calls.values()) if (call.phase === 'added') call.lookAt = 0
        renew()
      })
    })
  }

  /** Workers reply only into a stream that exists, so that a caller that is gone leaves nothing behind. */
  async #keepStream(): Promise<void> {
    const key = this.keys.replies(this.id)
    if ((await this.redis.expire(key, streamTtlSeconds)) === 1) return
    await this.redis.multi().xadd(key, '*', greeting, '1').expire(key, streamTtlSeconds).exec()
  }

  async #renew(): Promise<void> {
    const tasks = [this.#keepStream(), this.lanes.refresh(), this.#presence.renew(), this.clock.sync(this.redis)]
    for (const end of await Promise.allSettled(tasks)) {
      if (end.status === 'rejected') this.#report(end.reason, 'Renewing the queues')
    }
  }

  /** Until it is known which server answers, and where it is another one, what its records say of these calls may be too little. */
  async #meetServer(calls: readonly Call[]): Promise<void> {
    const sent = calls.filter(({ server, isDoubtful }) => server !== undefined && !isDoubtful)
    if (sent.length === 0) {
      await this.server.read()
      return
    }
    for (const call of sent) call.isDoubtful = true
    const server = await this.server.read()
    for (const call of sent) call.isDoubtful = call.server !== server
  }

  #deliver(callId: string, text: string): void {
    const call = this.#calls.get(callId)
    if (!call) return
    const reply = text.length > this.payloadBytesMax + replyRoom ? undefined : readReply(text)
    if (reply) call.deliver(reply, text)
    else this.#refuse(callId)
  }

  #refuse(callId: string): void {
    refusals.add(1, { code: 'REPLY_INVALID' })
    this.#log.note('reply', queueError('REPLY_INVALID', `Reply for call ${callId} cannot be read`), 'Reading replies')
  }

  /** Replies that were read need no memory; the bound on the stream's length is for those that are not. */
  async #trim(): Promise<void> {
    const { position } = this.#reader
    if (position === this.#trimmedTo) return
    this.#trimmedTo = position
    const trimming = this.redis.xtrim(this.keys.replies(this.id), 'MINID', position)
    await trimming.catch(error => this.#report(error, 'Trimming the replies'))
  }

  async #sweep(): Promise<void> {
    await Promise.all([this.#trim(), this.#watch.sweep()])
  }

  /** A job that is not there yet will never be; one that may exist is asked for, once, and removed if nobody has begun it. */
  async #giveUp(call: Call, giveUp: GiveUp, lookMs = lastLookMs): Promise<void> {
    if (call.phase === 'preparing') return call.fail(call.givenUp(giveUp, 'not-applied'))
    if (call.phase === 'claiming') return call.fail(call.givenUp(giveUp, 'unknown'))
    const looking = outside(() => this.#lastLook(call, { abort: giveUp.why !== 'timeout' }))
    const end = await within(lookMs, looking).catch(() => late)
    if (!call.isOpen) return
    if (end === 'removed') call.fail(call.givenUp(giveUp, 'not-applied'))
    else if (typeof end === 'object') call.deliver(end)
    else if (end === 'gone' && call.phase === 'added' && giveUp.why === 'timeout') call.fail(resultLost(call))
    else call.fail(call.givenUp(giveUp, 'unknown'))
  }

  /** A process that was paused for longer than the deadline has its replies yet to read: first those, then the record. */
  async #lastLook(call: Call, { abort }: { abort: boolean }): Promise<'removed' | RecordedEnd> {
    await this.#reader.catchUp(this.redis)
    if (!call.isOpen) return 'open'
    const end = await cancelJob(this.redis, this.keys, { call, abort })
    if (end === 'removed') await this.#meetServer([call])
    return end
  }

  async #stop(deadlineMs: number): Promise<void> {
    const deadline = deadlineIn(deadlineMs)
    if (this.#starting !== undefined) await within(deadlineMs, this.#starting).catch(() => {})
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#idle = resolve
    if (this.#calls.size > 0) await within(remainingMs(deadline), promise)
    const isThere = await answersNow(this.redis)
    const lookMs = isThere ? stopLookMs : 0
    await Promise.all(this.waiting.map(call => this.#giveUp(call, { why: 'stopped' }, lookMs)))
    for (const timer of this.#timers) clearInterval(timer)
    await this.#reader.stop()
    const leftMs = Math.max(closeMs, Math.min(closeMsMax, remainingMs(deadline)))
    await within(isThere ? leftMs : closeMs, this.#close(isThere))
    this.redis.disconnect()
  }

  async #close(isThere: boolean): Promise<void> {
    if (isThere) await this.#leave()
    await this.lanes.close()
    if (isThere) await closeRedis(this.redis)
  }

  async #leave(): Promise<void> {
    await Promise.allSettled([this.redis.del(this.keys.replies(this.id)), this.#presence.leave()])
  }
}

export const stopped = () => queueError('QUEUE_STOPPED', 'Queues are stopping: they take no more work')

function tooManyCalls(job: string, callsMax: number) {
  const message = `Call of ${job} was refused: ${callsMax} calls wait in this process (callsMax). Admit less work, or raise it`
  return queueError('CALLS_LIMIT', message, { details: { job, callsMax } })
}
