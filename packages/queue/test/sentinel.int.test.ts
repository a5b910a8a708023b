import { type RedisSentinels, startRedisSentinels, until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { afterEach, expect, type TestContext, test } from 'vitest'
import { faultsOf, startLoad } from './load.ts'
import { skipWithoutProgram } from './redis-group.ts'
import { useStage } from './stage.ts'

const stage = useStage()
let group: RedisSentinels | undefined

afterEach(async () => {
  await stage.clear()
  await group?.stop()
  group = undefined
})

/** Calls that flow over a master that three sentinels watch, named by ioredis's own options. */
async function flowing(context: TestContext) {
  const started = await startRedisSentinels().catch(skipWithoutProgram(context))
  group = started
  const redis = { sentinels: [...started.sentinels], name: started.name }
  const load = await startLoad(stage, { redis, prefix: stage.prefix })
  expect((await load.call()).error).toBeUndefined()
  return { sentinels: started, load, flow: load.flow(8, 20_000) }
}

test('calls that flow while sentinels replace a master that died all end, and those after it succeed', async context => {
  const { sentinels, load, flow } = await flowing(context)
  const before = await sentinels.master()
  await before.kill()
  expect(await sentinels.master()).not.toBe(before)
  expect((await load.call()).error).toBeUndefined()
  expect(faultsOf(await flow.stop(), load.begun)).toEqual([])
}, 60_000)

test('a master that is replaced and runs on is left at once, not when it is told to follow 10 s later', async context => {
  const { sentinels, load, flow } = await flowing(context)
  const before = await sentinels.master()
  const next = new Redis(sentinels.nodes.find(node => node !== before)?.url ?? '')
  const moving = sentinels.failover()
  await until(async () => (await next.role())[0] === 'master', {
    deadlineMs: 5000,
    message: 'the replica to be master',
  })
  await until(async () => await next.exists(await load.push()), {
    deadlineMs: 5000,
    message: 'a push to the new master',
  })
  await moving
  expect((await load.call()).error).toBeUndefined()
  expect(faultsOf(await flow.stop(), load.begun)).toEqual([])
  await next.quit()
}, 60_000)
