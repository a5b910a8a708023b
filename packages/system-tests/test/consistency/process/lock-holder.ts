import { createLock, fenced } from '@strata/consistency/lock'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'

/**
 * A process that takes a lock, makes a guarded write ready and says so; told to go on it looks at its lease, and sends the write whatever it
 * sees. Arguments: MongoDB's URL, database.
 */
const [url = '', database = ''] = process.argv.slice(2)
const store = mongoDatasource({ name: 'main', url, database })
const db = createDbContext({ datasources: [store] })
const lock = createLock({ db, datasource: store, ttlMs: 500, owner: 'stopped', report: () => {} })
const guarded = store.collection<{ _id: string; by: string }>('guarded')
await db.start()

const told = Promise.withResolvers<void>()
process.once('message', () => told.resolve())

const work = db.run(() =>
  lock.withLease('a', async lease => {
    const fence = fenced(lease)
    process.send?.({ held: lease.token })
    await told.promise
    const seen = { isHeld: lease.isHeld, isAborted: lease.signal.aborted }
    await db.run(async () => {
      const update = fence.update({ $set: { by: 'stopped' } })
      const { matchedCount } = await guarded.updateOne({ _id: 'x', ...fence.filter }, update)
      process.send?.({ seen, matchedCount })
    })
  }),
)
const error = (await work.catch((reason: unknown) => reason)) as { code?: string; outcome?: string }
process.send?.({ code: error?.code, outcome: error?.outcome })
