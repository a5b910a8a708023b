import { Queue, QueueEvents, Worker } from 'bullmq'
import {
  type Caller,
  callDeadlineMs,
  expectEcho,
  kept,
  nextInput,
  queueName,
  type Station,
  type SystemSides,
} from './station.ts'

/** BullMQ's own wait: `add` and `waitUntilFinished`, with one QueueEvents a process. */
export const bullmq: SystemSides = {
  async openCaller({ redisUrl: url, prefix }): Promise<Caller> {
    await using undo = new AsyncDisposableStack()
    const connection = { url }
    const queue = new Queue(queueName, { connection, prefix })
    undo.defer(() => queue.close())
    const events = new QueueEvents(queueName, { connection, prefix })
    undo.defer(() => events.close())
    // Each wait listens on both: without this a hundred waits also pay for Node's warnings.
    queue.setMaxListeners(0)
    events.setMaxListeners(0)
    await Promise.all([queue.waitUntilReady(), events.waitUntilReady()])
    const options = { removeOnComplete: kept, removeOnFail: kept }
    const call = async (): Promise<void> => {
      const input = nextInput()
      const job = await queue.add(queueName, input, options)
      expectEcho(input, await job.waitUntilFinished(events, callDeadlineMs))
    }
    const opened = undo.move()
    return { call, [Symbol.asyncDispose]: () => opened.disposeAsync() }
  },
  async openWorker({ redisUrl: url, prefix, slots: concurrency }: Station): Promise<AsyncDisposable> {
    const options = { connection: { url, maxRetriesPerRequest: null }, prefix, concurrency }
    const worker = new Worker(queueName, async job => job.data, options)
    await worker.waitUntilReady()
    return { [Symbol.asyncDispose]: () => worker.close() }
  },
}
