import { randomUUID } from 'node:crypto'
import type { MongoDatasource, ServiceCollection } from '@strata/mongo'

interface LeaseDocument {
  readonly _id: string
  readonly owner: string
  readonly until: Date
  /** How long it was taken for. */
  readonly ms: number
}

const duplicateKey = 11_000

/**
 * Says which process relays: one at a time does all there is, others wait to take over. On the server's clock; the owner goes by its
 * own, from before it asked, so it stops believing in the lease before another can have it. Two at once, after a pause in the middle of
 * a statement, would publish some rows twice and in order: it keeps them from working for nothing, and order does not hang on it.
 */
export class Lease {
  readonly #documents: ServiceCollection<LeaseDocument>
  readonly #owner = randomUUID()
  readonly #ms: number
  #heldUntil = Number.NEGATIVE_INFINITY

  constructor(datasource: MongoDatasource, collection: string, ms: number) {
    this.#documents = datasource.service.collection(collection)
    this.#ms = ms
  }

  get isHeld(): boolean {
    return performance.now() < this.#heldUntil
  }

  /** Takes or renews it; renews only when a third of its time has gone. */
  async hold(): Promise<boolean> {
    const asked = performance.now()
    if (asked < this.#heldUntil - (this.#ms * 2) / 3) return true
    this.#heldUntil = (await this.#take()) ? asked + this.#ms : Number.NEGATIVE_INFINITY
    return this.isHeld
  }

  async release(): Promise<void> {
    if (!this.isHeld) return
    this.#heldUntil = Number.NEGATIVE_INFINITY
    await this.#documents.deleteOne({ _id: 'relay', owner: this.#owner })
  }

  async #take(): Promise<boolean> {
    // Also one that lies further ahead than any can: the server's clock has been set back since.
    const isAhead = { $gt: ['$until', { $add: ['$$NOW', { $ifNull: ['$ms', this.#ms] }] }] }
    const isFree = {
      $or: [{ $eq: [{ $ifNull: ['$owner', this.#owner] }, this.#owner] }, { $lt: ['$until', '$$NOW'] }, isAhead],
    }
    const mine = (value: unknown, theirs: string) => ({ $cond: [isFree, value, theirs] })
    const until = mine({ $add: ['$$NOW', this.#ms] }, '$until')
    const taking = [{ $set: { owner: mine(this.#owner, '$owner'), until, ms: mine(this.#ms, '$ms') } }]
    try {
      const options = { upsert: true, returnDocument: 'after' } as const
      const lease = await this.#documents.findOneAndUpdate({ _id: 'relay' }, taking, options)
      return lease?.owner === this.#owner
    } catch (error) {
      // Another has inserted it first.
      if (error instanceof Error && 'code' in error && error.code === duplicateKey) return false
      throw error
    }
  }
}
