import { fileURLToPath } from 'node:url'
import { type NodeProcess, spawnNode } from '@strata/testkit'
import { LabError } from '../../lab-error.ts'
import type { Answer, Step, Stretch } from './messages.ts'
import { callDeadlineMs, type Station } from './station.ts'

const peerFile = fileURLToPath(new URL('peer.ts', import.meta.url))
/** For loading the code and opening connections, on a busy machine and many processes at once. */
const openMs = 60_000

/** A process that calls or works, seen from the bench. It ends with the bench, however that one ends. */
export class PeerProcess implements AsyncDisposable {
  readonly #child: NodeProcess

  private constructor(child: NodeProcess) {
    this.#child = child
  }

  static async start(): Promise<PeerProcess> {
    return new PeerProcess(await spawnNode(peerFile, { ipc: true }))
  }

  /** @throws RUN_FAILED */
  async open(role: 'caller' | 'worker', station: Station): Promise<void> {
    await this.#perform({ type: 'open', role, station }, openMs)
  }

  /** How many milliseconds each call took. @throws RUN_FAILED when a call fails */
  go(stretch: Stretch): Promise<readonly number[]> {
    return this.#perform({ type: 'go', stretch }, stretch.forMs + 2 * callDeadlineMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]()
  }

  async #perform(step: Step, deadlineMs: number): Promise<readonly number[]> {
    this.#child.send(step)
    const isAnswer = (message: unknown): message is Answer => typeof message === 'object' && message !== null
    const answer = await this.#child.nextMessage(isAnswer, deadlineMs).catch((cause: unknown) => {
      throw new LabError('RUN_FAILED', `A bench process: ${cause instanceof Error ? cause.message : cause}`, { cause })
    })
    if (answer.type === 'failed') throw new LabError('RUN_FAILED', `A bench process: ${answer.message}`)
    return answer.ms
  }
}
