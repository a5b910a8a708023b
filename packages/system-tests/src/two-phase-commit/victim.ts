import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type CommandFault, type Seed, type SeenCommand, spawnNode, startCommandProxy } from '@strata/testkit'
import type { Place, Told } from './bank.ts'
import { Bank } from './bank.ts'
import { faultAt, type TwoPhaseFault } from './faults.ts'
import { networks } from './network.ts'
import type { TransferPlan } from './plan.ts'
import type { Order } from './process/coordinator.ts'

const file = fileURLToPath(new URL('process/coordinator.ts', import.meta.url))
const startMsMax = 60_000
const killMsMax = 60_000

/** The server has had a write for this long before the process that sent it is killed. */
const doneMs = 50

export interface Striking {
  readonly place: Place
  readonly fault: TwoPhaseFault
  readonly seed: Seed
  readonly plans: readonly TransferPlan[]
  /** `process`: one of its own, that is killed. `cut`: one of this process, that reaches the server no more: the server sees the same. */
  readonly as: 'process' | 'cut'
}

/** Runs transfers until it comes to the write, and is gone then. @returns what it was told @throws when it never comes to it */
export async function strike({ place, fault, seed, plans, as }: Striking): Promise<Told[]> {
  await using undo = new AsyncDisposableStack()
  const struck = Promise.withResolvers<void>()
  let left = seed.integer(1, fault.timesMax)
  const network = fault.network && networks[fault.network](seed)
  const breaks = (command: SeenCommand): CommandFault | undefined => {
    // What it sends in the time until it is killed must not arrive either: it is gone.
    if (left <= 0) return { kind: 'cut-before' }
    if (!fault.isStep(command)) return network?.(command)
    left -= 1
    if (left > 0) return network?.(command)
    struck.resolve()
    return faultAt(fault)
  }
  const proxy = undo.use(await startCommandProxy(place.mongo, breaks))
  const told: Told[] = []
  const through = { ...place, mongo: proxy.url }
  const gone =
    as === 'process'
      ? await startProcess(undo, { order: { place: through, plans, verb: fault.verb }, told })
      : startHere({ place: through, plans, verb: fault.verb }, told)
  await inTime(struck.promise, fault.name)
  if (fault.when === 'after') await sleep(doneMs)
  await gone()
  return told
}

async function startProcess(
  undo: AsyncDisposableStack,
  { order, told }: { order: Order; told: Told[] },
): Promise<() => Promise<void>> {
  const child = undo.use(await spawnNode(file, { ipc: true }))
  await child.nextMessage((message): message is 'ready' => message === 'ready', startMsMax)
  child.send(order)
  const isTold = (message: unknown): message is Told => Object(message).id !== undefined
  const listen = async () => {
    for (;;) told.push(await child.nextMessage(isTold, killMsMax))
  }
  listen().catch(() => {})
  return async () => {
    child.kill('SIGKILL')
    await child.exited
  }
}

function startHere({ place, plans, verb }: Order, told: Told[]): () => Promise<void> {
  const bank = new Bank(place)
  const running = bank.act(verb, plans, each => told.push(each)).catch(() => {})
  return async () => {
    // Not awaited: it goes on trying to reach the server, and what it tells from now on nobody hears.
    void Promise.allSettled([running, bank[Symbol.asyncDispose]()])
  }
}

async function inTime(work: Promise<void>, what: string): Promise<void> {
  const late = sleep(killMsMax, undefined, { ref: false }).then(() => {
    throw new Error(`No coordinator came to ${what}`)
  })
  await Promise.race([work, late])
}
