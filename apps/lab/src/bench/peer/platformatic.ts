import { randomUUID } from 'node:crypto'
import { Queue, RedisStorage } from '@platformatic/job-queue'
import { type Caller, callDeadlineMs, expectEcho, kept, nextInput, type Station, type SystemSides } from './station.ts'

interface Payload {
  readonly n: number
}

/** The fastest peer known: `enqueueAndWait`. Its ids are the caller's to choose, so each call has a fresh one. */
export const platformatic: SystemSides = {
  async openCaller(station): Promise<Caller> {
    const queue = make(station)
    await queue.start()
    const call = async (): Promise<void> => {
      const input = nextInput()
      expectEcho(input, await queue.enqueueAndWait(randomUUID(), input, { timeout: callDeadlineMs }))
    }
    return { call, [Symbol.asyncDispose]: () => queue.stop() }
  },
  async openWorker(station: Station): Promise<AsyncDisposable> {
    const queue = make(station)
    queue.execute(async (job: { readonly payload: Payload }) => job.payload)
    await queue.start()
    return { [Symbol.asyncDispose]: () => queue.stop() }
  },
}

function make({ redisUrl: url, prefix, slots: concurrency }: Station): Queue<Payload, Payload> {
  const storage = new RedisStorage({ url, keyPrefix: `${prefix}:` })
  return new Queue({ storage, concurrency, resultTTL: kept.age * 1000 })
}
