import type { ChangeStream, Document, MongoClient } from 'mongodb'
import { mongoError } from '../errors.ts'
import type { Settings } from '../options.ts'
import { outsideAnyContext } from '../outside-any-context.ts'
import { createClient } from '../pool/client.ts'
import { stopped } from '../translate.ts'

/**
 * The change streams of one store. A stream keeps a connection for as long as it waits for a change, and behind a load
 * balancer for its whole life, so they have a client of their own with a connection each.
 */
export class Streams {
  readonly #settings: Settings
  readonly #open = new Set<ChangeStream<Document, Document>>()
  #client: MongoClient | undefined
  #isClosed = false

  /** `shared` is the client to use where all is on one. */
  constructor(settings: Settings, shared?: MongoClient) {
    this.#settings = settings
    this.#client = shared
  }

  get size(): number {
    return this.#open.size
  }

  /** @throws STREAM_LIMIT, STOPPED */
  open(
    namespace: { database: string; collection: string },
    given: readonly unknown[],
  ): ChangeStream<Document, Document> {
    const { streamsMax } = this.#settings
    if (this.#isClosed) throw stopped(`${namespace.collection}.watch`, { outcome: 'not-applied' })
    if (this.#open.size >= streamsMax) {
      throw mongoError('STREAM_LIMIT', `${this.#open.size} change streams are open, streamsMax is ${streamsMax}`, {
        details: { open: this.#open.size, streamsMax, collection: namespace.collection },
      })
    }
    this.#client ??= outsideAnyContext(() => this.#connect())
    const collection = this.#client.db(namespace.database).collection(namespace.collection)
    const [pipeline, options] = given as [Document[] | undefined, object | undefined]
    return this.#track(collection.watch(pipeline, options))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.allSettled([...this.#open].map(stream => stream.close()))
    await this.#client?.close()
  }

  /** Connects it, too, because the first watch would else, in its own context. */
  #connect(): MongoClient {
    const { streamsMax: max, pool } = this.#settings
    const client = createClient(this.#settings, { max, min: 0, timeoutMs: pool.timeoutMs, watched: false })
    client.connect().catch(async () => {
      // The streams that wait for it say so; a client that has failed to connect never does afterwards.
      if (this.#client === client) this.#client = undefined
      await client.close()
    })
    return client
  }

  /** The driver closes a stream itself after an error that it cannot resume from, through the same method. */
  #track(stream: ChangeStream<Document, Document>): ChangeStream<Document, Document> {
    this.#open.add(stream)
    const close = stream.close.bind(stream)
    stream.close = async () => {
      this.#open.delete(stream)
      await close()
    }
    return stream
  }
}
