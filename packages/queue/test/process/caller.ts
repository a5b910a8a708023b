import { createDbContext } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { z } from 'zod'
import { createQueues, defineJob } from '../../src/index.ts'

/** A process that makes one call when it is told to, and tells how it ended. Arguments: Redis's URL and the prefix. */
const [redis = '', prefix = ''] = process.argv.slice(2)
const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
const db = createDbContext({ datasources: [new FakeDatasource()] })
const queues = createQueues({ db, redis, prefix, report: () => {} })
await queues.start()

process.on('message', (options: { deadlineMs: number; removeOnComplete?: boolean }) => {
  db.run(() => queues.pushAsync(job, { n: 1 }, options)).then(
    value => process.send?.({ value }),
    (error: { code?: string; outcome?: string }) => process.send?.({ code: error.code, outcome: error.outcome }),
  )
})
process.send?.('ready')
