import { setTimeout as sleep } from 'node:timers/promises'
import { dbContextError } from '@strata/db-context'
import type { AnyTwoPhase } from './definition.ts'
import type { Participant } from './participant.ts'
import type { Store } from './port.ts'
import { ServerClock } from './server-clock.ts'
import { type Bounds, type Engine, readBounds } from './settings.ts'
import { type Protocol, protocol } from './table.ts'

export interface EngineOptions extends Partial<Bounds> {
  readonly store: Store
  readonly definitions: readonly AnyTwoPhase[]
  readonly protocol?: Protocol
  readonly pause?: (ms: number) => Promise<void>
  readonly elapsedMs?: () => number
}

/** @throws CONFIG */
export function createEngine(options: EngineOptions): Engine {
  const { store, definitions, elapsedMs = () => performance.now(), pause = ms => sleep(ms) } = options
  return {
    ...readBounds(options),
    store,
    protocol: options.protocol ?? protocol,
    clock: new ServerClock(elapsedMs),
    participants: participantsOf(definitions, store),
    definitions: definitions.map(({ name }) => name),
    pause,
    elapsedMs,
  }
}

/** @throws CONFIG for two definitions, or two participants, of one name, and for two participants of one collection */
function participantsOf(definitions: readonly AnyTwoPhase[], store: Store): Map<string, Participant> {
  if (new Set(definitions.map(({ name }) => name)).size < definitions.length) {
    throw dbContextError('CONFIG', 'Two definitions of two-phase commits have the same name')
  }
  const found = new Map<string, Participant>()
  for (const participant of definitions.flatMap(({ uses }) => uses)) {
    const { name } = participant
    if ((found.get(name) ?? participant) !== participant) {
      throw dbContextError('CONFIG', `Two participants have the name ${name}: records know them by it`, {
        details: { name },
      })
    }
    found.set(name, participant)
  }
  // A document has one entry of a transaction: under two names it would take part once and be counted twice.
  const places = new Set([...found.values()].map(participant => store.placeOf(participant)))
  if (places.size < found.size)
    throw dbContextError('CONFIG', 'Two participants of two-phase commits are one collection')
  return found
}
