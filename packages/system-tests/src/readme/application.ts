import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, defineJob } from '@strata/queue'
import { z } from 'zod'

const { MONGO_URL = 'mongodb://127.0.0.1:27017/shop?replicaSet=rs0', REDIS_URL = 'redis://127.0.0.1:6379' } =
  process.env

// Shared by both sides: a contract, a collection, a context.
const reserve = defineJob({
  name: 'stock.reserve',
  input: z.object({ sku: z.string(), quantity: z.int().positive() }),
  output: z.object({ left: z.int() }),
})
const shop = mongoDatasource({ name: 'shop', url: MONGO_URL, pool: { max: 1 } })
const orders = shop.collection<{ _id: string; sku: string }>('orders')
const stock = shop.collection<{ _id: string; left: number }>('stock')
const db = createDbContext({ datasources: [shop] })

// The worker process: its statements run on the connections of the job's level.
const worker = createWorker({ db, redis: REDIS_URL, lanes: { slots: 1 } })
worker.handle(reserve, async ({ sku, quantity }) => {
  const item = await stock.findOneAndUpdate({ _id: sku, left: { $gte: quantity } }, { $inc: { left: -quantity } })
  if (!item) throw new Error(`Not enough of ${sku}`)
  return { left: item.left - quantity }
})
await worker.start()

// The API process: a transaction that awaits the job. Neither can starve the other, with a pool of 1 and a slot of 1.
const queues = createQueues({ db, redis: REDIS_URL })
export const order = (id: string, sku: string) =>
  db.run(() =>
    db.transaction.begin(async () => {
      await orders.insertOne({ _id: id, sku })
      return await queues.pushAsync(reserve, { sku, quantity: 1 })
    }),
  )
export const addStock = (sku: string, left: number) => db.run(() => stock.insertOne({ _id: sku, left }))
export const stop = async () => {
  await queues.stop()
  await worker.stop()
  await db.stop()
}
