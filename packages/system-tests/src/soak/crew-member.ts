import { fileURLToPath } from 'node:url'
import { type NodeProcess, type ProcessEnd, spawnNode } from '@strata/testkit'
import type { Answer, Answers, Order, Place, Role } from './messages.ts'

const file = fileURLToPath(new URL('soak-process.ts', import.meta.url))
/** For loading the code and opening connections, or answering under full load, on a busy machine. */
const answerMs = 60_000
/** After everything was closed only the channel is left. */
const exitMs = 10_000

/** A process of the soak, seen from outside. */
export class CrewMember implements AsyncDisposable {
  readonly name: string
  readonly #child: NodeProcess

  private constructor(name: string, child: NodeProcess) {
    this.name = name
    this.#child = child
  }

  static async open(name: string, role: Role, place: Place): Promise<CrewMember> {
    const env = { NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --expose-gc`.trim() }
    const member = new CrewMember(name, await spawnNode(file, { ipc: true, env }))
    await member.#ask('open', { type: 'open', role, place }, answerMs)
    return member
  }

  async load(deadlineMs: number): Promise<Answers['load']> {
    return await this.#ask('load', { type: 'load' }, deadlineMs)
  }

  async rest(): Promise<Answers['rest']> {
    return await this.#ask('rest', { type: 'rest' }, answerMs)
  }

  async resume(): Promise<void> {
    await this.#ask('resume', { type: 'resume' }, answerMs)
  }

  async look(): Promise<Answers['look']> {
    return await this.#ask('look', { type: 'look' }, answerMs)
  }

  /** Stops it in order and waits for the process to end by itself; undefined when it does not: something is left open. */
  async stop(): Promise<ProcessEnd | undefined> {
    await this.#ask('stop', { type: 'stop' }, answerMs)
    const { promise: late, resolve } = Promise.withResolvers<undefined>()
    const timer = setTimeout(resolve, exitMs, undefined)
    const end = await Promise.race([this.#child.exited, late])
    clearTimeout(timer)
    return end
  }

  stderr(): string {
    return this.#child.stderr()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]()
  }

  async #ask<T extends Order['type']>(to: T, order: Order, deadlineMs: number): Promise<Answers[T]> {
    this.#child.send(order)
    const isAnswer = (message: unknown): message is Extract<Answer, { to: T }> =>
      typeof message === 'object' && message !== null && 'to' in message && message.to === to
    const answer: Answer = await this.#child.nextMessage(isAnswer, deadlineMs)
    if (!answer.ok) throw new Error(`${this.name} could not ${to}: ${answer.message}`)
    return answer as unknown as Answers[T]
  }
}
