import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { createDbContext } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { z } from 'zod'
import { createWorker, defineJob } from '../../src/index.ts'

/**
 * A worker process whose handler blocks until a file is there: the event loop, or with `thread` another thread. Arguments: Redis's
 * URL, the prefix, the file, where.
 */
const [redis = '', prefix = '', file = '', where = 'here'] = process.argv.slice(2)

/** Through a file, because nothing else reaches a thread whose event loop stands still. */
function block(until: string): void {
  const clock = new Int32Array(new SharedArrayBuffer(4))
  while (!existsSync(until)) Atomics.wait(clock, 0, 0, 20)
}

async function serve(): Promise<void> {
  const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })
  const worker = createWorker({
    db: createDbContext({ datasources: [new FakeDatasource()] }),
    redis,
    prefix,
    stalled: { lockDurationMs: 2000, stalledIntervalMs: 500 },
    report: (error, what) => process.send?.({ reported: `${what}: ${error instanceof Error ? error.message : error}` }),
  })
  worker.handle(job, async ({ n }) => {
    process.send?.({ begun: n })
    if (where === 'here') block(file)
    else await once(new Worker(new URL(import.meta.url), { workerData: file }), 'exit')
    return -n
  })
  await worker.start()
  process.send?.({ ready: true })
}

if (isMainThread) await serve()
else block(String(workerData))
