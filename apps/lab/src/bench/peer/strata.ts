import { createDbContext, type DbContext } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { createQueues, createWorker, defineJob } from '@strata/queue'
import { z } from 'zod'
import {
  type Caller,
  callDeadlineMs,
  expectEcho,
  nextInput,
  queueName,
  type Station,
  type SystemSides,
} from './station.ts'

const shape = z.object({ n: z.number() })
const echo = defineJob({ name: queueName, input: shape, output: shape })

/** Ours. No database is used, but a context has one. */
export const strata: SystemSides = {
  async openCaller({ redisUrl: redis, prefix }): Promise<Caller> {
    await using undo = new AsyncDisposableStack()
    const db = undo.use(await openContext())
    const queues = undo.use(createQueues({ db, redis, prefix, callDeadlineMs }))
    await queues.start()
    const call = async (): Promise<void> => {
      const input = nextInput()
      expectEcho(input, await db.run(() => queues.pushAsync(echo, input)))
    }
    const opened = undo.move()
    return { call, [Symbol.asyncDispose]: () => opened.disposeAsync() }
  },
  async openWorker({ redisUrl: redis, prefix, slots }: Station): Promise<AsyncDisposable> {
    await using undo = new AsyncDisposableStack()
    const db = undo.use(await openContext())
    const worker = undo.use(createWorker({ db, redis, prefix, lanes: { slots } }))
    worker.handle(echo, async input => input)
    await worker.start()
    return undo.move()
  },
}

/** A context whose database is in memory: no call of the bench touches it. */
export async function openContext(): Promise<DbContext> {
  const db = createDbContext({ datasources: [new FakeDatasource()], levels: { max: 4 } })
  await db.start()
  return db
}
