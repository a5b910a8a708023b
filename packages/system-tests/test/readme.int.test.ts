import { randomUUID } from 'node:crypto'
import { expect, inject, it } from 'vitest'

it('the application of the README takes an order with a pool of 1 and a slot of 1', async () => {
  const url = new URL(inject('mongoLbUrl'))
  url.pathname = `/readme-${randomUUID()}`
  process.env.MONGO_URL = url.href
  process.env.REDIS_URL = inject('redisUrl')
  const application = await import('../src/readme/application.ts')
  try {
    await application.addStock('book', 2)
    const orders = [application.order('1', 'book'), application.order('2', 'book')]
    expect((await Promise.all(orders)).map(({ left }) => left).toSorted()).toEqual([0, 1])
    await expect(application.order('3', 'book')).rejects.toThrow('Not enough of book')
  } finally {
    await application.stop()
  }
})
