import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type NodeProcess, spawnNode } from '@strata/testkit'
import { LabError } from '../lab-error.ts'
import type { FromActor, Opening, Step, ToActor } from './messages.ts'
import type { ProcessReport } from './report.ts'

const actorFile = fileURLToPath(new URL('actor.ts', import.meta.url))
/** setTimeout's own limit: these waits end with the process. */
const untilItEnds = 2 ** 31 - 1

/** What a process tells by itself, in contrast to its answers. */
export type Told = Exclude<FromActor, { type: 'done' }>

/** One actor process, seen from the lab. It ends with the lab, however that one ends. */
export class ActorProcess implements AsyncDisposable {
  readonly name: string
  readonly role: Opening['role']
  readonly #child: NodeProcess
  /** True for one that has been killed on a scenario's behalf. */
  isKilled = false
  #pauses = 0
  /** What it told last of what it holds and waits for. */
  report: ProcessReport | undefined

  private constructor(child: NodeProcess, { process, role }: Pick<Opening, 'process' | 'role'>) {
    this.#child = child
    this.name = process
    this.role = role
  }

  /** Starts the process. `told` gets all that it tells, `lost` the reason if it ends before it is disposed of. */
  static async start(
    { process, role }: Pick<Opening, 'process' | 'role'>,
    on: { readonly told: (message: Told) => void; readonly lost: (error: LabError) => void },
  ): Promise<ActorProcess> {
    const actor = new ActorProcess(await spawnNode(actorFile, { ipc: true }), { process, role })
    actor.#listen(on.told).catch((cause: unknown) => {
      if (!actor.isKilled) on.lost(failed(process, cause))
    })
    return actor
  }

  tell(message: ToActor): void {
    this.#child.send(message)
  }

  /** Has it do a step. @throws RUN_FAILED when it cannot, or not within `deadlineMs`. */
  async perform(step: Step, deadlineMs: number): Promise<void> {
    const isAnswer = (message: unknown): message is FromActor => isAnswerTo(step, message as FromActor)
    this.tell(step)
    const answer = await this.#child.nextMessage(isAnswer, deadlineMs).catch((cause: unknown) => {
      throw failed(this.name, cause)
    })
    if (answer.type === 'failed') throw new LabError('RUN_FAILED', `Process ${this.name}: ${answer.message}`)
  }

  /** Kills it as a crash would. Resolves when it is gone. */
  async kill(): Promise<void> {
    this.isKilled = true
    this.#child.kill('SIGKILL')
    await this.#child.exited
  }

  /** Stops it for so long. Resolves when it goes on: after the last of those that asked meanwhile. */
  async pause(ms: number): Promise<void> {
    this.#pauses += 1
    this.#child.kill('SIGSTOP')
    await sleep(ms)
    this.#pauses -= 1
    if (this.#pauses === 0) this.#child.kill('SIGCONT')
  }

  /** Asks for a fresh report; keeps the last one when none comes in time. */
  async refresh(deadlineMs: number): Promise<void> {
    const isAsked = (message: unknown): message is Extract<FromActor, { type: 'report' }> =>
      isAskedReport(message as FromActor)
    this.tell({ type: 'report' })
    const answer = await this.#child.nextMessage(isAsked, deadlineMs).catch(() => undefined)
    if (answer !== undefined) this.report = answer.report
  }

  /** Ends it at once, whatever it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]()
  }

  async #listen(told: (message: Told) => void): Promise<never> {
    const isTold = (message: unknown): message is Told => isByItself(message as FromActor)
    for (;;) {
      const message = await this.#child.nextMessage(isTold, untilItEnds)
      if (message.type === 'report') this.report = message.report
      told(message)
    }
  }
}

const isAskedReport = (message: FromActor): boolean => message.type === 'report' && message.asked

const isAnswerTo = (step: Step, message: FromActor): boolean =>
  (message.type === 'done' || message.type === 'failed') && message.step === step.type

function isByItself(message: FromActor): boolean {
  if (message.type === 'failed') return message.step === 'beside'
  return message.type !== 'done' && !isAskedReport(message)
}

function failed(process: string, cause: unknown): LabError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new LabError('RUN_FAILED', `Process ${process}: ${reason}`, { cause })
}
