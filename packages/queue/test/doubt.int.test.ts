import { gate, until } from '@strata/testkit'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { ServerIdentity } from '../src/server-identity.ts'
import { useRedis, useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({ n: z.number() }), output: z.number() })

const stage = useStage()
const redis = useRedis()

afterEach(async () => {
  await stage.clear()
  await redis.call('ACL', 'DELUSER', stage.prefix)
})

/** A call whose job has begun and waits for the gate, and one whose job waits behind it. */
async function twoCalls(url: string) {
  const db = stage.db()
  const queues = stage.queues(db, { redis: url })
  const worker = stage.worker(stage.db(), { lanes: { slots: 1 } })
  const held = gate()
  let begun = 0
  worker.handle(job, async ({ n }) => {
    begun += 1
    await held.wait()
    return n
  })
  await worker.start()
  const call = (n: number) => {
    const giveUp = new AbortController()
    const options = { jobId: `order-${n}`, signal: giveUp.signal, deadlineMs: 60_000 }
    const calling = db.run(() => queues.pushAsync(job, { n }, options))
    calling.catch(() => {})
    return { calling, giveUp }
  }
  const first = call(1)
  await until(() => begun === 1, { deadlineMs: 5000, message: 'the first to begin' })
  const second = call(2)
  const lane = stage.bullmq('work~1')
  await until(async () => (await lane.getWaitingCount()) === 1, { deadlineMs: 5000, message: 'the second to wait' })
  return { held, first, second }
}

/** As a server does that took over, or came back, without the last writes. */
async function loseStart(id: string): Promise<void> {
  const key = (part: string) => `${stage.prefix}:work~1:${part}`
  await redis
    .multi()
    .lrem(key('active'), 1, id)
    .del(key(`${id}:lock`))
    .hdel(key(id), 'ats')
    .rpush(key('wait'), id)
    .exec()
}

async function cutConnection(): Promise<void> {
  const connection = async () => {
    const list = String(await redis.client('LIST')).split('\n')
    return /^id=(\d+)/.exec(list.find(line => line.includes(` name=${stage.prefix}:queues `)) ?? '')?.[1]
  }
  const before = await connection()
  await redis.client('KILL', 'ID', before ?? '')
  await until(
    async () => {
      const now = await connection()
      return now !== undefined && now !== before
    },
    { deadlineMs: 5000, message: 'another connection' },
  )
}

test('a job that another server says nobody began is given up as unknown: its start may be what was lost', async () => {
  const allowed = ['on', '>secret', '~*', '&*', '+@all', '-info']
  await redis.call('ACL', 'SETUSER', stage.prefix, ...allowed)
  const { held, first, second } = await twoCalls(`redis://${stage.prefix}:secret@${new URL(stage.redis).host}`)
  await loseStart('order-1')
  await cutConnection()
  for (const { calling, giveUp } of [first, second]) {
    giveUp.abort()
    await expect(calling).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'unknown' })
  }
  held.open()
})

test('a connection that comes back to the same server leaves no doubt', async () => {
  const { held, first, second } = await twoCalls(stage.redis)
  await cutConnection()
  second.giveUp.abort()
  await expect(second.calling).rejects.toMatchObject({ code: 'CALL_ABORTED', outcome: 'not-applied' })
  held.open()
  expect(await first.calling).toBe(1)
})

test('a server is known by its run, which ends with its process', async () => {
  const server = new ServerIdentity(redis)
  const runId = /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1]
  expect(server.known).toBe('')
  expect(await server.read()).toBe(runId)
  expect(server.known).toBe(runId)
})
