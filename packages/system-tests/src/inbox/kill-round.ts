import { randomUUID } from 'node:crypto'
import type { Seed } from '@strata/testkit'
import type { InboxFault } from './faults.ts'
import type { InboxHistory, Told } from './history.ts'
import type { Place } from './process/messages.ts'
import { newMeeting, Participant, slotsOfWorker } from './process/participant.ts'
import { Station } from './station.ts'
import { Victim } from './victim.ts'

export interface KillRoundOptions {
  readonly fault: InboxFault
  readonly seed: Seed
  readonly mongo: string
  readonly redis: string
  /** True waits until others end what the killed process held; otherwise it is ended at once, as they would later. */
  readonly isWhole: boolean
  /** False shows what happens without an inbox; true by default. */
  readonly guarded?: boolean
}

const messagesInAll = 6
const deliveriesOfEach = 3
const othersAfter = 2

/** One step, one seed: a process is killed there, and others go on with what it had begun. */
export async function playKill(options: KillRoundOptions): Promise<InboxHistory> {
  const { fault, mongo, redis, guarded = true } = options
  const name = `inbox-${randomUUID().slice(0, 8)}`
  const place: Place = { mongo, redis, name, app: `${name}-after`, guarded }
  await using station = await Station.open(place)
  await using undo = new AsyncDisposableStack()
  const open = async () => undo.use(await Participant.open(place))
  const others = await Promise.all(Array.from({ length: othersAfter }, open))
  const round: Round = { options, place, station, others, ...drawMessages(options.seed) }
  const { told, held } = fault.victim === 'worker' ? await deliverAll(round) : await askAll(round)
  const { messages, deliveries } = round
  return {
    messages,
    deliveries: deliveries.length,
    told,
    held,
    effects: await station.effects(),
    rows: guarded ? await station.rows(fault) : [],
    runsAfter: others.reduce((sum, { runs }) => sum + runs, 0),
    open: await station.openAfterAll(),
  }
}

interface Round {
  readonly options: KillRoundOptions
  readonly place: Place
  readonly station: Station
  readonly others: readonly Participant[]
  readonly messages: readonly string[]
  readonly deliveries: readonly string[]
}

interface RoundEnd {
  readonly told: readonly Told[]
  readonly held: number
}

/** Every message comes several times, in a drawn order. */
function drawMessages(seed: Seed): Pick<Round, 'messages' | 'deliveries'> {
  const messages = Array.from({ length: messagesInAll }, (_, index) => `m${index}`)
  const deliveries = messages.flatMap(message => Array.from({ length: deliveriesOfEach }, () => message))
  const drawn = deliveries.map(message => ({ message, place: seed.next() }))
  return { messages, deliveries: drawn.sort((one, other) => one.place - other.place).map(({ message }) => message) }
}

/** A worker is killed; what it had taken comes again by itself, to two others. */
async function deliverAll(round: Round): Promise<RoundEnd> {
  const { others, deliveries } = round
  const [caller] = others
  if (!caller) throw new Error('There is nobody who delivers')
  await using victim = await openVictim(round)
  await victim.work()
  const delivering = deliveries.map(message => caller.deliver(message))
  await endOf(victim, round)
  const meeting = newMeeting(others.length * slotsOfWorker)
  await Promise.all(others.map(other => other.work(meeting)))
  const told = await Promise.all(delivering)
  return { told, held: await caller.meet(meeting) }
}

/** One that is asked with keys is killed; whoever had asked asks the others, until there is an answer. */
async function askAll(round: Round): Promise<RoundEnd> {
  const { others, deliveries } = round
  const told: Told[] = []
  await using victim = await openVictim(round)
  victim.ask(deliveries)
  await endOf(victim, round)
  const mine = (index: number) => deliveries.filter((_, place) => place % others.length === index)
  await Promise.all(others.map((other, index) => other.ask(mine(index), each => void told.push(each))))
  return { told: [...victim.told, ...told], held: 0 }
}

function openVictim({ place, options: { fault, seed } }: Round): Promise<Victim> {
  const own = { ...place, app: `${place.name}-killed` }
  return Victim.open({ place: own, fault, seed, timesMax: messagesInAll })
}

async function endOf(victim: Victim, { options, place, station }: Round): Promise<void> {
  await victim.gone
  if (!options.isWhole) await station.endTransactions(`${place.name}-killed`)
}
