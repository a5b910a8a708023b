import { AsyncLocalStorage } from 'node:async_hooks'
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { DeclaredProcesses } from '@strata/db-context'
import type { Document, MongoClient } from 'mongodb'
import { codeOf } from '../classify.ts'
import { mongoError } from '../errors.ts'
import { type Entry, Registry } from './registry.ts'
import { connectionsReserved } from './reservation.ts'

/** Three signs of life a lease: one that is lost costs nothing. */
const renewMs = 5000
const unauthorized = 13

const outsideAnyContext = AsyncLocalStorage.snapshot()

export interface Claim {
  readonly client: MongoClient
  /** The connections that this process may open, those of its monitors included. */
  readonly wanted: number
  readonly processes: DeclaredProcesses | undefined
  /** The server's limit where it is configured; else the server is asked. */
  readonly limit: number | undefined
}

/** One process's place in the connection budget of one store. */
export class Membership {
  readonly #id = randomUUID()
  #timer: NodeJS.Timeout | undefined

  /**
   * Takes the place, and keeps it until the returned function is called. Enter again after a failed start: a process has
   * one place.
   *
   * @throws CONNECTION_BUDGET, BUDGET_UNREADABLE (`not-applied`: nothing stays registered)
   */
  async enter({ client, wanted, processes, limit: given }: Claim): Promise<() => Promise<void>> {
    const registry = new Registry(client)
    const declared = processes ? { kind: processes.kind, processesMax: processes.max } : {}
    const entry: Entry = { _id: this.#id, connections: wanted, host: hostname(), pid: process.pid, ...declared }
    const limit = given ?? (await authorized(() => readLimit(client), 'read serverStatus (role clusterMonitor)'))
    const { isIn, others } = await authorized(() => registry.enter(entry, limit), 'write to the database strata')
    if (!isIn) throw overBudget(entry, others, limit)
    clearInterval(this.#timer)
    // A renewal that fails is made good by the next one: the lease outlives two of them.
    const renew = () => registry.renew(entry).catch(() => {})
    this.#timer = outsideAnyContext(() => setInterval(renew, renewMs))
    this.#timer.unref()
    return async () => {
      clearInterval(this.#timer)
      await registry.leave(this.#id)
    }
  }
}

async function readLimit(client: MongoClient): Promise<number> {
  const { connections }: Document = await client.db('admin').command({ serverStatus: 1, maxTimeMS: renewMs })
  return connections.current + connections.available
}

async function authorized<T>(run: () => Promise<T>, what: string): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    if (codeOf(cause) !== unauthorized) throw cause
    throw mongoError(
      'BUDGET_UNREADABLE',
      `This user may not ${what}, which the connection budget needs: grant it, or for serverStatus give connectionsMax`,
      { cause },
    )
  }
}

function overBudget(entry: Entry, live: readonly Entry[], limit: number) {
  const { connections: wanted, kind, processesMax: declared } = entry
  const others = connectionsReserved(live.filter(other => kind === undefined || other.kind !== kind))
  const reserved = connectionsReserved([...live, entry]) - others
  const own =
    kind === undefined
      ? `This process may open ${wanted} connections`
      : `${declared} processes of kind ${kind} are declared, this one may open ${wanted} connections, so they count ${reserved}`
  return mongoError(
    'CONNECTION_BUDGET',
    `${own}, the others registered ${others}, and the server grants ${limit}: ` +
      'lower pool.max or levels.max, run fewer processes, or raise the limit of the server',
    { details: { wanted, reserved, others, limit, ...(kind === undefined ? {} : { kind, processesMax: declared }) } },
  )
}
