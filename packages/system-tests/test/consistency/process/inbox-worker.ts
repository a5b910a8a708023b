import { createInbox } from '@strata/consistency/inbox'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { createWorker } from '@strata/queue'
import { note } from '../note.ts'

/** A worker process whose handler writes, says so, and never ends. Arguments: MongoDB's URL, database, Redis's URL, prefix. */
const [url = '', database = '', redis = '', prefix = ''] = process.argv.slice(2)
const store = mongoDatasource({ name: 'main', url, database })
const db = createDbContext({ datasources: [store] })
const inbox = createInbox({ db, datasource: store })
const notes = store.collection<{ _id: string; by: string }>('notes')
const worker = createWorker({ db, redis, prefix, stalled: { lockDurationMs: 2000, stalledIntervalMs: 500 } })

worker.handle(
  note,
  inbox.once(async ({ id }) => {
    await notes.insertOne({ _id: id, by: 'killed' })
    process.send?.('written')
    return await new Promise<never>(() => {})
  }),
)
await worker.start()
process.send?.('ready')
