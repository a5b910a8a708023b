import { setTimeout as sleep } from 'node:timers/promises'
import { type DbContext, dbContextError, deadlineIn, remainingMs } from '@strata/db-context'
import type { MongoDatasource } from '@strata/mongo'
import { consistencyError } from '../errors.ts'
import { checkWindowMs } from '../expiring-rows.ts'
import { type Report, safely, warn } from '../report.ts'
import { Keeping } from './keeping.ts'
import { Lease } from './lease.ts'
import type { OutboxMessage, Publisher } from './port.ts'
import { Prompt } from './prompt.ts'
import { Publication } from './publication.ts'
import { Relay } from './relay.ts'
import { createSetAside, type SetAside } from './set-aside.ts'
import { type Backlog, Store } from './store.ts'

export interface OutboxOptions {
  readonly db: Pick<DbContext, 'current' | 'transaction'>
  /** Where the rows are, in the transactions that push. */
  readonly datasource: MongoDatasource
  /** Default `strata.outbox`; two more begin with its name. */
  readonly collection?: string
  /** How long published rows are kept, for people to look at: default 7 days, from 1,000 ms to a year. */
  readonly windowMs?: number
  /** How long a committed row is left to the process that wrote it, at least, by a clock of seconds: default 3,000 ms, at most an hour. */
  readonly graceMs?: number
  /** How often the relay looks while it finds nothing: default 500 ms, 10 ms to a minute. */
  readonly pollMs?: number
  /** After how long another process takes over from a relay that is gone: default 10,000 ms, 1 s to 10 minutes. */
  readonly leaseMs?: number
  /** Receives what must not end the outbox. Default: a process warning. */
  readonly report?: Report
}

/**
 * Sends what a transaction pushes if, and only if, it commits. For `createQueues({ outbox })`.
 *
 * Guaranteed: a push inside a transaction is a row in that transaction. The process that committed it publishes it right after; if that
 * one is gone, a relay does. At least once, under a job id that the queue knows again for as long as it keeps the job. Under one key in
 * the order of the commits, but for transactions that end at the same moment and write nothing in common. A row that can never be published is set aside, and blocks only its key.
 *
 * Not guaranteed: exactly once (make handlers idempotent, as with the inbox); any order without a key; anything of jobs that the
 * queue itself loses after it took them.
 */
export interface Outbox extends AsyncDisposable {
  /** For the queue: keeps a message until the transaction around the call has committed. @throws TRANSACTION_MISSING, OUTBOX_ELSEWHERE, OUTBOX_KEY_INVALID */
  append(message: OutboxMessage): void
  /** For the queue: what publishes. @throws CONFIG for a second one */
  connect(publisher: Publisher): void
  /** Creates the collections and indexes that are missing; at the start of every process that pushes or relays. */
  ensureIndexes(): Promise<void>
  /** Relays from now on, in one process at a time. Idempotent. @throws CONFIG where no queue has been given this outbox */
  start(): void
  /** Resolves when every row is published but those that are set aside and those behind them. For tests. @throws OUTBOX_FLUSH_TIMEOUT after `deadlineMs` (10,000) */
  flush(options?: { readonly deadlineMs?: number }): Promise<void>
  readonly setAside: SetAside
  /** How many rows are to be published, and how old the oldest is. */
  backlog(): Promise<Backlog>
  /** Publishes what this process has committed, for `deadlineMs` (5,000) at most, and relays no more; before the queues stop. Idempotent. */
  stop(options?: { readonly deadlineMs?: number }): Promise<void>
}

const windowMsDefault = 7 * 86_400_000

/** @throws CONFIG */
export function createOutbox(options: OutboxOptions): Outbox {
  const { db, datasource, collection = 'strata.outbox' } = options
  const report = safely(options.report ?? warn)
  const windowMs = checkWindowMs(options.windowMs ?? windowMsDefault)
  const graceMs = checkMs('graceMs', options.graceMs ?? 3000, { min: 0, max: 3_600_000 })
  // The cluster's time of a row is in seconds, rounded down.
  const graceSeconds = graceMs === 0 ? 0 : Math.ceil(graceMs / 1000) + 1
  const pollMs = checkMs('pollMs', options.pollMs ?? 500, { min: 10, max: 60_000 })
  const leaseMs = checkMs('leaseMs', options.leaseMs ?? 10_000, { min: 1000, max: 600_000 })
  const store = new Store(datasource, collection)
  const lease = new Lease(datasource, `${collection}.relay`, leaseMs)
  const connected: { prompt?: Prompt; relay?: Relay } = {}
  const keeping = new Keeping({
    db,
    datasource: datasource.name,
    store,
    committed: rows => connected.prompt?.add(rows),
  })
  const relay = () => connected.relay ?? unconnected()
  const outbox: Outbox = {
    append: message => keeping.append(message),
    connect(publisher) {
      if (connected.relay) throw dbContextError('CONFIG', 'Outbox belongs to other queues already: make one for each')
      const publication = new Publication(store, publisher)
      const parts = { store, publication, report }
      connected.prompt = new Prompt(parts)
      connected.relay = new Relay({ ...parts, lease, pollMs, graceSeconds })
    },
    ensureIndexes: () => store.ensureIndexes(windowMs),
    start: () => relay().start(),
    flush: ({ deadlineMs = 10_000 } = {}) => flush(relay(), store, deadlineMs),
    setAside: createSetAside(store),
    backlog: () => store.backlog(),
    stop: async ({ deadlineMs = 5000 } = {}) => {
      await endsBy(deadlineMs, Promise.all([connected.prompt?.idle(), connected.relay?.stop()]))
      connected.prompt?.stop()
    },
    [Symbol.asyncDispose]: () => outbox.stop(),
  }
  return outbox
}

/** @throws CONFIG */
function unconnected(): never {
  throw dbContextError('CONFIG', 'Outbox has nothing to publish with: give it to createQueues({ outbox }) first')
}

const pauseMs = 20

/** @throws OUTBOX_FLUSH_TIMEOUT */
async function flush(relay: Relay, store: Store, deadlineMs: number): Promise<void> {
  const deadline = deadlineIn(deadlineMs)
  for (;;) {
    const { moved, error } = await relay.pass(0)
    const { rows: left } = await store.pending({ graceSeconds: 0, not: await store.blockedKeys(), limit: 1 })
    if (left.length === 0) return
    if (remainingMs(deadline) === 0) throw flushTimeout(deadlineMs, left.length, error)
    if (moved === 0) await sleep(pauseMs)
  }
}

/** @throws what the work rejects with, in time */
async function endsBy(ms: number, work: Promise<unknown>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, ms)
  work.catch(() => {})
  try {
    await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}

const flushTimeout = (deadlineMs: number, rows: number, cause: unknown) =>
  consistencyError('OUTBOX_FLUSH_TIMEOUT', `Outbox was not empty within ${deadlineMs} ms: ask its backlog`, {
    details: { deadlineMs, rows },
    cause,
  })

/** @throws CONFIG */
function checkMs(option: string, got: number, { min, max }: { min: number; max: number }): number {
  if (Number.isFinite(got) && got >= min && got <= max) return got
  throw dbContextError('CONFIG', `Option ${option} is ${got}, expected ${min} to ${max} ms`, {
    details: { option, got },
  })
}
