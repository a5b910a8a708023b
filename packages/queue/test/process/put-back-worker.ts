import { createDbContext, dbContextError } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { z } from 'zod'
import { createWorker, defineJob } from '../../src/index.ts'

/**
 * A worker process whose jobs are held up by a document, so that it puts them back; after so many runs the handler never ends.
 * Arguments: Redis's URL, the prefix, that number.
 */
const [redis = '', prefix = '', putBacks = ''] = process.argv.slice(2)
const worker = createWorker({
  db: createDbContext({ datasources: [new FakeDatasource()], lockWaitMs: 60_000 }),
  redis,
  prefix,
  stalled: { lockDurationMs: 2000, stalledIntervalMs: 500 },
  report: () => {},
})
let runs = 0
worker.handle(defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() }), () => {
  runs += 1
  process.send?.({ run: runs })
  if (runs > Number(putBacks)) return new Promise(() => {})
  throw dbContextError('LOCK_BLOCKED', 'Other work held the document')
})
await worker.start()
process.send?.({ run: 0 })
