import { fileURLToPath } from 'node:url'
import {
  type FaultProxy,
  type NodeProcess,
  type ServerHandle,
  spawnNode,
  startFaultProxy,
  startRedis,
} from '@strata/testkit'
import type { CallPlan } from './plan.ts'
import type { Hold, Order, Place, Serving, Told } from './process/messages.ts'

const files = {
  caller: fileURLToPath(new URL('process/caller.ts', import.meta.url)),
  worker: fileURLToPath(new URL('process/worker.ts', import.meta.url)),
}

const startMsMax = 30_000
const openMsMax = 15_000
const closeMsMax = 15_000

/** One process of a round and its way to Redis, which nobody else uses. It is started again where a fault has ended it. */
export class Member {
  readonly proxy: FaultProxy
  readonly #file: string
  #process: NodeProcess | undefined

  constructor(kind: keyof typeof files, proxy: FaultProxy) {
    this.#file = files[kind]
    this.proxy = proxy
  }

  get process(): NodeProcess {
    if (!this.#process) throw new Error('This process of the crew has not been opened')
    return this.#process
  }

  /** @throws when it does not answer in time */
  async open(place: Omit<Place, 'redis'>, serving: Serving): Promise<void> {
    this.#process ??= await this.#start()
    this.#tell({ order: 'open', place: { ...place, redis: this.proxy.url }, serving })
    await this.#hear('opened', openMsMax)
  }

  call(plans: readonly CallPlan[]): void {
    this.#tell({ order: 'call', plans })
  }

  async hold(hold: Hold): Promise<void> {
    this.#tell({ order: 'hold', hold })
    await this.#hear('holding', openMsMax)
  }

  /** Resolves when the process holds the job that it was told to hold in this round. */
  reached(prefix: string): Promise<unknown> {
    const isIt = (message: unknown): message is Told => {
      const heard = message as Told
      return heard.told === 'reached' && heard.prefix === prefix
    }
    return this.process.nextMessage(isIt, openMsMax)
  }

  release(): void {
    this.#tell({ order: 'release' })
  }

  /** Ends the process, if there is one; the next round gets another. */
  async kill(): Promise<void> {
    const process = this.#process
    this.#process = undefined
    process?.kill('SIGKILL')
    await process?.exited
  }

  /** For a process that ends by itself. */
  async exited(): Promise<{ readonly code: number | null; readonly signal: string | null }> {
    const end = await this.process.exited
    this.#process = undefined
    return end
  }

  /** Ends the round of this process. @throws when it does not end in time, as every stop of ours has to */
  async close(): Promise<void> {
    if (!this.#process) return
    this.#tell({ order: 'close' })
    await this.#hear('closed', closeMsMax)
  }

  async #start(): Promise<NodeProcess> {
    this.#process = await spawnNode(this.#file, { ipc: true })
    await this.#hear('ready', startMsMax)
    return this.#process
  }

  #tell(order: Order): void {
    this.process.send(order)
  }

  async #hear(told: Told['told'], deadlineMs: number): Promise<void> {
    const isIt = (message: unknown): message is Told => [told, 'failed'].includes((message as Told).told)
    const heard = await this.process.nextMessage(isIt, deadlineMs)
    if (heard.told === 'failed') throw new Error(`A process of the crew failed: ${heard.reason}`)
  }
}

/** A Redis of its own and the processes of one round at a time: a caller and two workers. */
export class Crew implements AsyncDisposable {
  readonly redis: ServerHandle
  readonly caller: Member
  readonly workers: readonly [Member, Member]

  private constructor(redis: ServerHandle, [caller, first, second]: readonly [FaultProxy, FaultProxy, FaultProxy]) {
    this.redis = redis
    this.caller = new Member('caller', caller)
    this.workers = [new Member('worker', first), new Member('worker', second)]
  }

  static async start(): Promise<Crew> {
    // With `everysec` a kill loses what was answered while a flush to disk ran, and that is not the fault to look into.
    const redisArgs = ['--appendfsync', 'always']
    const redis = await startRedis({ private: true, redisArgs, report: () => {} })
    const proxy = () => startFaultProxy(redis.url)
    return new Crew(redis, await Promise.all([proxy(), proxy(), proxy()]))
  }

  get members(): readonly Member[] {
    return [this.caller, ...this.workers]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map(member => member.kill()))
    await Promise.all(this.members.map(({ proxy }) => proxy.stop()))
    await this.redis.stop()
  }
}
