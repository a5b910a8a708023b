import { existsSync } from 'node:fs'
import { createDbContext } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { z } from 'zod'
import { createWorker, defineJob } from '../../src/index.ts'

/** A worker process whose handler blocks the event loop until a file is there. Arguments: Redis's URL, the prefix, the file. */
const [redis = '', prefix = '', file = ''] = process.argv.slice(2)
const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
const worker = createWorker({
  db: createDbContext({ datasources: [new FakeDatasource()] }),
  redis,
  prefix,
  stalled: { lockDurationMs: 1000, stalledIntervalMs: 500 },
  report: (error, what) => process.send?.({ reported: `${what}: ${error instanceof Error ? error.message : error}` }),
})

worker.handle(job, async ({ n }) => {
  // Through a file, because nothing else reaches a process whose event loop stands still.
  const clock = new Int32Array(new SharedArrayBuffer(4))
  process.send?.({ begun: n })
  while (!existsSync(file)) Atomics.wait(clock, 0, 0, 20)
  return -n
})
await worker.start()
process.send?.({ ready: true })
