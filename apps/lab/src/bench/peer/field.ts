import { PeerProcess } from './peer-process.ts'
import type { Station, System } from './station.ts'

/** A row's side to be: its worker process is its system's, its callers are in the first `processes` caller processes. */
export interface Side {
  readonly id: string
  readonly system: System
  readonly redisUrl: string
  readonly processes: number
  readonly callers: number
  readonly slots: number
  readonly idleMs?: number
}

/** What a stretch of load has shown. */
export interface Seen {
  readonly calls: number
  readonly seconds: number
  /** Of each call. */
  readonly ms: readonly number[]
}

/** Puts a side under load for about so long. */
export type LoadSide = (forMs: number) => Promise<Seen>

/** The processes of a benchmark: callers, and one worker process for each system. */
export class Field implements AsyncDisposable {
  readonly #callers: readonly PeerProcess[]
  readonly #workers = new Map<System, Promise<PeerProcess>>()

  private constructor(callers: readonly PeerProcess[]) {
    this.#callers = callers
  }

  static async open(processes: number): Promise<Field> {
    return new Field(await Promise.all(Array.from({ length: processes }, () => PeerProcess.start())))
  }

  /** Opens a side: its worker first, then its callers, which wait idle while other rows are measured. @throws RUN_FAILED */
  async side({ id, system, redisUrl, processes, callers, slots, idleMs = 0 }: Side): Promise<LoadSide> {
    const station: Station = { id, system, redisUrl, prefix: `bench-${id}`, slots }
    await (await this.#worker(system)).open('worker', station)
    const peers = this.#callers.slice(0, processes)
    await Promise.all(peers.map(peer => peer.open('caller', station)))
    const share = (index: number) => Math.floor((callers + index) / processes)
    return async forMs => {
      const begun = performance.now()
      const stretch = (index: number) => ({ station: id, callers: share(index), forMs, idleMs })
      const all = await Promise.all(peers.map((peer, index) => peer.go(stretch(index))))
      const ms = all.flat()
      return { calls: ms.length, seconds: (performance.now() - begun) / 1000, ms }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const workers = await Promise.all(this.#workers.values())
    await Promise.all([...this.#callers, ...workers].map(peer => peer[Symbol.asyncDispose]()))
  }

  #worker(system: System): Promise<PeerProcess> {
    const known = this.#workers.get(system) ?? PeerProcess.start()
    this.#workers.set(system, known)
    return known
  }
}
