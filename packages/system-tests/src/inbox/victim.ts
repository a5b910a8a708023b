import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import {
  type CommandFault,
  type NodeProcess,
  type Seed,
  type SeenCommand,
  spawnNode,
  startCommandProxy,
  startFaultProxy,
} from '@strata/testkit'
import { type InboxFault, watchSteps } from './faults.ts'
import type { Told } from './history.ts'
import type { Heard, Order, Place } from './process/messages.ts'

const file = fileURLToPath(new URL('process/actor.ts', import.meta.url))
const startMsMax = 60_000
const killMsMax = 60_000
const untilItEnds = 2 ** 31 - 1

export interface VictimOptions {
  readonly place: Place
  readonly fault: InboxFault
  readonly seed: Seed
  /** It comes to the step with so many messages at least: at which of them it is killed is drawn. */
  readonly timesMax: number
}

/** A process behind proxies that know when it has come to the step, and that kill it there. */
export class Victim implements AsyncDisposable {
  readonly #stack = new AsyncDisposableStack()
  readonly #fault: InboxFault
  readonly #isStep: (command: SeenCommand) => boolean
  readonly #nth: number
  readonly told: Told[] = []
  #process: NodeProcess | undefined
  #cutRedis: () => void = () => {}
  #times = 0
  #returned = 0

  private constructor({ fault, seed, timesMax }: VictimOptions) {
    this.#fault = fault
    this.#isStep = watchSteps(fault)
    this.#nth = seed.integer(1, timesMax)
  }

  /** @throws when it does not open in time */
  static async open(options: VictimOptions): Promise<Victim> {
    const victim = new Victim(options)
    try {
      await victim.#start(options.place)
      return victim
    } catch (error) {
      await victim[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Resolves when it takes deliveries. */
  async work(): Promise<void> {
    this.#tell({ order: 'work' })
    await this.#hear('working')
  }

  ask(deliveries: readonly string[]): void {
    this.#tell({ order: 'ask', deliveries })
  }

  /** Resolves when it has been killed. @throws when it never came to its step */
  get gone(): Promise<void> {
    const late = sleep(killMsMax, undefined, { ref: false }).then(() => {
      throw new Error(`The process was to be killed at ${this.#fault.name}, and did not come to that step`)
    })
    return Promise.race([this.#process?.exited.then(() => {}), late])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  async #start(place: Place): Promise<void> {
    const mongo = this.#stack.use(await startCommandProxy(place.mongo, command => this.#fateOf(command)))
    const redis = this.#stack.use(await startFaultProxy(place.redis))
    this.#cutRedis = () => redis.blackhole()
    this.#process = this.#stack.use(await spawnNode(file, { ipc: true }))
    this.#collect().catch(() => {})
    await this.#hear('ready')
    this.#tell({ order: 'open', place: { ...place, mongo: mongo.url, redis: redis.url } })
    await this.#hear('opened')
  }

  get #isStruck(): boolean {
    return this.#times >= this.#nth
  }

  #fateOf(command: SeenCommand): CommandFault | undefined {
    // What it sends in the moment until it is killed must not arrive either: it is gone.
    if (this.#isStruck && this.#fault.when !== 'known') return { kind: 'cut-before' }
    if (!this.#isStep(command)) return undefined
    if (this.#isStruck) return { kind: 'cut-before' }
    this.#times += 1
    return this.#isStruck ? this.#strike() : undefined
  }

  #strike(): CommandFault | undefined {
    const { when } = this.#fault
    if (when === 'after') return { kind: 'drop-reply', onReply: () => this.#kill() }
    if (when === 'before') {
      this.#kill()
      return { kind: 'cut-before' }
    }
    this.#cutRedis()
    return undefined
  }

  /** All whose commits have gone through have told their process so. */
  #killOnceKnown(): void {
    if (this.#fault.when === 'known' && this.#isStruck && this.#returned >= this.#nth) this.#kill()
  }

  #kill(): void {
    this.#process?.kill('SIGKILL')
  }

  async #collect(): Promise<never> {
    const isOurs = (message: unknown): message is Heard => ['told', 'returned'].includes((message as Heard).heard)
    for (;;) {
      const message = await this.#process?.nextMessage(isOurs, untilItEnds)
      if (message?.heard === 'told') this.told.push(message.told)
      if (message?.heard !== 'returned') continue
      this.#returned += 1
      this.#killOnceKnown()
    }
  }

  #tell(order: Order): void {
    this.#process?.send(order)
  }

  async #hear(heard: Heard['heard']): Promise<void> {
    const isIt = (message: unknown): message is Heard => [heard, 'failed'].includes((message as Heard).heard)
    const message = await this.#process?.nextMessage(isIt, startMsMax)
    if (message?.heard === 'failed') throw new Error(`A process of the round failed: ${message.reason}`)
  }
}
