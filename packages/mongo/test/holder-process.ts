import { createDbContext, type Isolation } from '@strata/db-context'
import { mongoDatasource } from '../src/index.ts'

/** A process that writes document 1 in a transaction, says so, and writes document 2 when it is told to go on. */
const [url = '', database = '', isolation = 'levels'] = process.argv.slice(2)
const store = mongoDatasource({ name: 'main', url, database, appName: database })
const db = createDbContext({ datasources: [store], isolation: isolation as Isolation })
const documents = store.collection<{ _id: number; n: number }>('documents')
const told = new Promise<void>(resolve => process.once('message', () => resolve()))
let bodies = 0

const ended = db.run(() =>
  db.transaction.begin(async () => {
    bodies += 1
    await documents.updateOne({ _id: 1 }, { $inc: { n: 1 } })
    process.send?.({ did: 'write' })
    await told
    await documents.updateOne({ _id: 2 }, { $inc: { n: 1 } })
  }),
)
await ended.then(
  () => process.send?.({ did: 'commit', bodies }),
  error => process.send?.({ did: 'fail', code: error.code, outcome: error.outcome }),
)
await db.stop()
process.disconnect()
