import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CommandFault, type Seed, type SeenCommand, startCommandProxy } from '@strata/testkit'
import { faultAt, type KillFault } from './faults.ts'
import type { OutboxHistory } from './history.ts'
import { Member } from './member.ts'
import { drawPlans, type OutboxPlan } from './plan.ts'
import type { Place } from './process/messages.ts'
import { Participant } from './process/participant.ts'
import { Station } from './station.ts'

export interface KillRoundOptions {
  readonly fault: KillFault
  readonly seed: Seed
  readonly mongo: string
  readonly redis: string
  /** False shows what is lost without an outbox; true by default. */
  readonly wired?: boolean
}

const load = { transactions: 40, keys: 4 }
const callers = 4

const killMsMax = 30_000

/** Without an outbox nobody would send it later. */
const lostMs = 2000

/** One step, one seed: a process is killed there, and another takes over. */
export async function playKill(options: KillRoundOptions): Promise<OutboxHistory> {
  const { fault, seed, mongo, redis, wired = true } = options
  const name = `outbox-${randomUUID().slice(0, 8)}`
  const place: Place = { mongo, redis, name, publishes: true, wired }
  const plans = drawPlans(seed, load)
  await using station = await Station.open(place, load.keys)
  if (fault.victim === 'relay') await commitAll({ ...place, publishes: false }, plans)
  await using victim = await Victim.open(place, options)
  if (fault.victim === 'relay') victim.member.relay()
  else victim.member.begin(plans, callers)
  await victim.gone
  const open = await station.openRows()
  if (wired) station.participant.relay()
  await station.settle(wired ? {} : { waitMs: lostMs })
  return await station.history(victim.member.told, fault.mayRepeat ? open : 0)
}

async function commitAll(place: Place, plans: readonly OutboxPlan[]): Promise<void> {
  await using participant = await Participant.open(place)
  await participant.commit(plans, callers, () => {})
}

/** A process behind a proxy that knows when it has come to the step. */
class Victim implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack
  readonly member: Member

  private constructor(member: Member, stack: AsyncDisposableStack) {
    this.member = member
    this.#stack = stack
  }

  static async open(place: Place, { fault, seed, mongo }: KillRoundOptions): Promise<Victim> {
    await using undo = new AsyncDisposableStack()
    let left = seed.integer(1, fault.timesMax)
    let member: Member | undefined
    const breaks = (command: SeenCommand): CommandFault | undefined => {
      if (!fault.isStep(command)) return undefined
      left -= 1
      // What it sends in the time until it is killed must not arrive either: it is gone.
      if (left > 0) return undefined
      return left === 0 ? faultAt(fault, () => member?.kill()) : { kind: 'cut-before' }
    }
    const proxy = undo.use(await startCommandProxy(mongo, breaks))
    member = undo.use(await Member.open({ ...place, mongo: proxy.url }))
    return new Victim(member, undo.move())
  }

  /** Resolves when it has been killed. @throws when it never came to its step */
  get gone(): Promise<void> {
    const late = sleep(killMsMax, undefined, { ref: false }).then(() => {
      throw new Error('The process was to be killed, and did not come to that step')
    })
    return Promise.race([this.member.exited.then(() => {}), late])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}
