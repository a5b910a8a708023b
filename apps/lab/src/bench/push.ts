import { createQueues, createWorker, defineJob, type JobDefinition, type Queues } from '@strata/queue'
import type { Servers } from '@strata/testkit'
import { Queue, Worker } from 'bullmq'
import { z } from 'zod'
import type { Benchmark, Contest, Contestant, OpenBenchmark } from './benchmark.ts'
import { Backlog } from './peer/backlog.ts'
import { kept, nextInput } from './peer/station.ts'
import { openContext } from './peer/strata.ts'

const goal = 0.9
const bulk = 50
const slots = 100
const shape = z.object({ n: z.number() })
/** Nobody serves this one: its queue only grows, on both sides alike. */
const stored = defineJob({ name: 'stored', input: shape, output: shape })
const processed = defineJob({ name: 'processed', input: shape, output: shape })
const options = { removeOnComplete: kept, removeOnFail: kept }
const jobRate = { unit: 'jobs/s', better: 'higher', goal } as const

/** Jobs that nobody waits for, in one process: what Strata adds to BullMQ must not be felt. */
export const push: Benchmark = {
  name: 'push',
  what: 'pushes one by one, in bulk, and their processing, against raw BullMQ',
  open,
}

async function open({ redisUrl }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const db = undo.use(await openContext())
  const queues = undo.use(createQueues({ db, redis: redisUrl, prefix: 'bench-strata' }))
  await queues.start()
  const raw = async (job: JobDefinition): Promise<Queue> => {
    const queue = new Queue(job.queue, { connection: { url: redisUrl }, prefix: 'bench-bullmq' })
    undo.defer(() => queue.close())
    await queue.waitUntilReady()
    return queue
  }
  const own = new Backlog(queues.queue(processed), options)
  const worker = undo.use(createWorker({ db, redis: redisUrl, prefix: 'bench-strata', lanes: { slots } }))
  worker.handle(processed, async input => own.done(input))
  await worker.start()
  const other = new Backlog(await raw(processed), options)
  const connection = { url: redisUrl, maxRetriesPerRequest: null }
  const rawWorker = new Worker(processed.queue, async job => other.done(job.data), {
    connection,
    prefix: 'bench-bullmq',
    concurrency: slots,
  })
  undo.defer(() => rawWorker.close())
  await rawWorker.waitUntilReady()
  const contests = [...adding(queues, await raw(stored)), processing(own, other)]
  const stack = undo.move()
  return { contests, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

function adding(queues: Queues, raw: Queue): Contest[] {
  const many = (): { name: string; data: { n: number }; opts: typeof options }[] =>
    Array.from({ length: bulk }, () => ({ name: stored.name, data: nextInput(), opts: options }))
  const single = { what: 'one push at a time', id: 'push.single', ...jobRate }
  const inBulk = {
    what: `pushes in bulk, ${bulk} at once, by the queue that Strata gives`,
    id: 'push.bulk',
    ...jobRate,
  }
  return [
    {
      ...single,
      ours: jobsPerSecond(1, () => queues.push(stored, nextInput())),
      reference: jobsPerSecond(1, () => raw.add(stored.name, nextInput(), options)),
    },
    {
      ...inBulk,
      ours: jobsPerSecond(bulk, () => queues.queue(stored).addBulk(many())),
      reference: jobsPerSecond(bulk, () => raw.addBulk(many())),
    },
  ]
}

function processing(ours: Backlog, reference: Backlog): Contest {
  return {
    id: 'push.processing',
    what: `working off a backlog, ${slots} jobs at once in one process`,
    ...jobRate,
    sliceMs: 500,
    ours: forMs => ours.workOff(forMs),
    reference: forMs => reference.workOff(forMs),
  }
}

function jobsPerSecond(jobs: number, add: () => Promise<unknown>): Contestant {
  return async forMs => {
    const begun = performance.now()
    let added = 0
    do {
      await add()
      added += jobs
    } while (performance.now() - begun < forMs)
    return (added * 1000) / (performance.now() - begun)
  }
}
