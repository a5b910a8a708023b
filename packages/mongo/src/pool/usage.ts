import { AsyncLocalStorage } from 'node:async_hooks'
import type { Activity } from '@strata/db-context'
import type { MongoClient } from 'mongodb'

interface Counts {
  inUse: number
  waiting: number
}

/**
 * Counts what a client has checked out and keeps waiting. By server, because what a server that left the topology had
 * open is never reported as given back. A wait that a caller's own AbortSignal ended is not reported either and stays
 * counted: without permits only, and only in this display.
 */
export class PoolUsage {
  readonly #servers = new Map<string, Counts>()
  #last: Counts = { inUse: 0, waiting: 0 }
  #lastAddress: string | undefined

  constructor(client: MongoClient) {
    client.on('connectionCheckOutStarted', ({ address }) => {
      this.#of(address).waiting += 1
    })
    client.on('connectionCheckedOut', ({ address }) => {
      const counts = this.#of(address)
      counts.waiting -= 1
      counts.inUse += 1
    })
    client.on('connectionCheckOutFailed', ({ address }) => {
      this.#of(address).waiting -= 1
    })
    client.on('connectionCheckedIn', ({ address }) => {
      this.#of(address).inUse -= 1
    })
    client.on('connectionPoolClosed', ({ address }) => {
      this.#servers.delete(address)
      this.#lastAddress = undefined
    })
  }

  get now(): { readonly inUse: number; readonly waiting: number } {
    const sum = { inUse: 0, waiting: 0 }
    for (const { inUse, waiting } of this.#servers.values()) {
      sum.inUse += Math.max(0, inUse)
      sum.waiting += Math.max(0, waiting)
    }
    return sum
  }

  /** Four events an operation, nearly always of one server: the last one is remembered. */
  #of(address: string): Counts {
    if (this.#lastAddress === address) return this.#last
    this.#last = this.#servers.get(address) ?? { inUse: 0, waiting: 0 }
    this.#servers.set(address, this.#last)
    this.#lastAddress = address
    return this.#last
  }
}

/**
 * Tells a statement's activity whether the driver keeps it waiting for a connection. Only without permits, where that
 * wait is the one a person looks for: it needs the driver's command events, which cost something with every command.
 */
export class ActivityPhases {
  // Both events run in the context of the caller that they are about; the one for a finished wait does not.
  readonly #current = new AsyncLocalStorage<Activity>()

  constructor(client: MongoClient) {
    const set = (phase: Activity['phase']) => {
      const activity = this.#current.getStore()
      if (activity) activity.phase = phase
    }
    client.on('connectionCheckOutStarted', () => set('connecting'))
    client.on('commandStarted', () => set('running'))
  }

  run<T>(activity: Activity, send: () => Promise<T>): Promise<T> {
    return this.#current.run(activity, send)
  }
}
