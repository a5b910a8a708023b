import { fileURLToPath } from 'node:url'
import { type NodeProcess, type ProcessEnd, spawnNode } from '@strata/testkit'
import type { Told } from './history.ts'
import type { OutboxPlan } from './plan.ts'
import type { Heard, Order, Place } from './process/messages.ts'

const file = fileURLToPath(new URL('process/actor.ts', import.meta.url))
const startMsMax = 60_000
const untilItEnds = 2 ** 31 - 1

/** One process of a round, seen from the rig. */
export class Member implements AsyncDisposable {
  readonly #process: NodeProcess
  readonly told: Told[] = []
  /** When it last began to publish something, in this process's time; never is 0. */
  publishingAt = 0

  private constructor(process: NodeProcess) {
    this.#process = process
    this.#collect().catch(() => {})
  }

  /** @throws when it does not open in time */
  static async open(place: Place): Promise<Member> {
    const member = new Member(await spawnNode(file, { ipc: true }))
    await member.#hear('ready', startMsMax)
    member.#tell({ order: 'open', place })
    await member.#hear('opened', startMsMax)
    return member
  }

  get exited(): Promise<ProcessEnd> {
    return this.#process.exited
  }

  relay(): void {
    this.#tell({ order: 'relay' })
  }

  /** Begins transactions, so many at once. */
  begin(plans: readonly OutboxPlan[], callers: number): void {
    this.#tell({ order: 'commit', plans, callers })
  }

  /** Resolves when all have ended that it was told to begin. @throws when the process has ended instead */
  async committed(deadlineMs: number): Promise<void> {
    await this.#hear('committed', deadlineMs)
  }

  /** As a crash would. */
  kill(): void {
    this.#process.kill('SIGKILL')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]()
  }

  async #collect(): Promise<never> {
    const isOurs = (message: unknown): message is Heard => ['ended', 'publishing'].includes((message as Heard).heard)
    for (;;) {
      const message = await this.#process.nextMessage(isOurs, untilItEnds)
      if (message.heard === 'ended') this.told.push(message.told)
      else this.publishingAt = performance.now()
    }
  }

  #tell(order: Order): void {
    this.#process.send(order)
  }

  async #hear(heard: Heard['heard'], deadlineMs: number): Promise<void> {
    const isIt = (message: unknown): message is Heard => [heard, 'failed'].includes((message as Heard).heard)
    const message = await this.#process.nextMessage(isIt, deadlineMs)
    if (message.heard === 'failed') throw new Error(`A process of the round failed: ${message.reason}`)
  }
}
