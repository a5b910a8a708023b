import { randomUUID } from 'node:crypto'
import { until } from '@strata/testkit'
import { Redis } from 'ioredis'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob, type Handler, type JobDefinition } from '../src/index.ts'
import { first, second, strictFirst } from './greet-versions.ts'
import { useStage } from './stage.ts'

const stage = useStage()

async function working<J extends JobDefinition>(job: J, handler: Handler<J>) {
  const worker = stage.worker(stage.db())
  worker.handle(job, handler)
  await worker.start()
  return worker
}

function sending() {
  const db = stage.db()
  const queues = stage.queues(db)
  const call = <J extends JobDefinition>(job: J, data: unknown, attempts = 1) =>
    db.run(() => queues.pushAsync(job, data as never, { attempts, backoff: 10 }))
  return { db, queues, call }
}

const delayed = (lane: string, count: number) =>
  until(async () => (await stage.bullmq(lane).getDelayedCount()) === count, {
    deadlineMs: 5000,
    message: 'the job to be put back',
  })

describe('a job of version 1', () => {
  test('is read by version 2, which has a default for what it added', async () => {
    await working(second, async ({ name, title }) => `${title} ${name}`)
    const { queues, call } = sending()
    expect(await call(first, { name: 'Ada' })).toBe('Dr Ada')
    expect(await (await queues.push(first, { name: 'Eve' })).result()).toBe('Dr Eve')
  })
})

describe('a job of version 2', () => {
  test('is refused by a strict version 1, with the name of the field, and not tried again', async () => {
    let runs = 0
    await working(strictFirst, async ({ name }) => {
      runs += 1
      return name
    })
    const { queues, call } = sending()
    const refused = {
      code: 'INPUT_INVALID',
      outcome: 'not-applied',
      transient: false,
      details: { job: 'greet', issues: [{ path: '$', message: expect.stringContaining('title') }] },
    }
    await expect(call(second, { name: 'Ada', title: 'Prof' }, 3)).rejects.toMatchObject(refused)
    const pushed = await queues.push(second, { name: 'Eve', title: 'Prof' }, { attempts: 3 })
    await expect(pushed.result()).rejects.toMatchObject(refused)
    expect(await queues.queue(second).getJob(pushed.id)).toMatchObject({ attemptsMade: 1 })
    expect(runs).toBe(0)
  })

  test('of another type is refused with the path to it', async () => {
    const listed = defineJob({ name: 'greet', input: z.object({ name: z.array(z.string()) }), output: z.string() })
    await working(first, async ({ name }) => name)
    const { call } = sending()
    const issues = [{ path: '$.name', message: expect.stringContaining('expected string') }]
    await expect(call(listed, { name: ['Ada'] }, 3)).rejects.toMatchObject({
      code: 'INPUT_INVALID',
      details: { issues },
    })
  })

  test('keeps what version 1 does not know, in a failed run of it too, for version 2 to read', async () => {
    const seen: unknown[] = []
    const old = await working(first, async (input, { job }) => {
      seen.push(input, job.data)
      throw new Error('down')
    })
    const { queues } = sending()
    const data = { name: 'Ada', title: 'Prof', of: { more: [1] } }
    const pushed = await queues.push(second, data, { attempts: 2, backoff: 200 })
    await until(() => seen.length === 2, { deadlineMs: 5000, message: 'version 1 to run' })
    await old.stop()
    expect(seen).toEqual([{ name: 'Ada' }, data])
    expect((await queues.queue(second).getJob(pushed.id))?.data).toEqual(data)
    await working(second, async ({ name, title }) => `${title} ${name}`)
    expect(await pushed.result()).toBe('Prof Ada')
  })
})

test('a push that a worker does not know is left for one that does', async () => {
  const renamed = defineJob({ name: 'welcome', queue: 'greet', input: z.object({}), output: z.string() })
  await working(first, async ({ name }) => name)
  const { queues } = sending()
  const pushed = await queues.push(renamed, {})
  await delayed('greet', 1)
  await working(renamed, async () => 'welcome')
  expect(await pushed.result()).toBe('welcome')
  expect(await queues.queue(renamed).getJob(pushed.id)).toMatchObject({ attemptsMade: 1 })
})

describe('a schema', () => {
  const counted = () => {
    const runs = { input: 0, output: 0 }
    const job = defineJob({
      name: 'price',
      input: z.object({
        cents: z.coerce.number(),
        currency: z.string().default('EUR'),
        at: z.string().transform(text => {
          runs.input += 1
          return new Date(text)
        }),
      }),
      output: z.object({
        total: z.coerce.number(),
        paid: z.boolean().default(false),
        at: z.string().transform(text => {
          runs.output += 1
          return new Date(text)
        }),
      }),
    })
    return { job, runs }
  }

  test('is applied once to what the handler gets, and once to what the caller gets', async () => {
    const { job, runs } = counted()
    const stored: unknown[] = []
    await working(job, async (input, { job: record }) => {
      stored.push(record.data, input)
      return { total: '7', at: input.at.toISOString() }
    })
    const { call, queues } = sending()
    const at = '2026-01-01T00:00:00.000Z'
    const result = { total: 7, paid: false, at: new Date(at) }
    expect(await call(job, { cents: '5', at })).toEqual(result)
    const given = { cents: '5', at }
    expect(stored).toEqual([given, { cents: 5, currency: 'EUR', at: new Date(at) }])
    // Checked where it is sent and read where it arrives: twice each, and only the second time for the result.
    expect(runs).toEqual({ input: 2, output: 2 })
    const pushed = await queues.push(job, given)
    expect(await pushed.result()).toEqual(result)
    expect((await queues.queue(job).getJob(pushed.id))?.returnvalue).toEqual({ total: '7', at })
  })
})

describe('a schema whose own code fails', () => {
  const number = () => z.string().transform(text => BigInt(text).toString())

  test('refuses the input or the result, and spends no attempt on it', async () => {
    const output = z.string()
    const asInput = defineJob({ name: 'in', input: z.object({ n: z.unknown() }), output })
    const strict = defineJob({ name: 'in', input: z.object({ n: number() }), output })
    const asOutput = defineJob({ name: 'out', input: z.object({}), output: number() })
    let runs = 0
    await working(strict, async ({ n }) => n)
    await working(asOutput, async () => {
      runs += 1
      return 'no number'
    })
    const { call } = sending()
    const issues = [{ path: '$', message: expect.stringContaining('Cannot convert') }]
    const refused = { code: 'INPUT_INVALID', outcome: 'not-applied', details: { issues } }
    await expect(call(asInput, { n: 'no number' }, 3)).rejects.toMatchObject(refused)
    await expect(call(strict, { n: 'no number' }, 3)).rejects.toMatchObject(refused)
    await expect(call(asOutput, {}, 3)).rejects.toMatchObject({ code: 'RESULT_INVALID', outcome: 'applied' })
    expect(runs).toBe(1)
  })

  test('by never telling is given up: its call and its push end, applied', async () => {
    const input = z.object({})
    const done = defineJob({ name: 'endless', input, output: z.string() })
    const endless = defineJob({ name: 'endless', input, output: z.string().refine(() => new Promise(() => {})) })
    await working(done, async () => 'done')
    const { db, queues } = sending()
    const invalid = { code: 'RESULT_INVALID', outcome: 'applied' }
    await expect(db.run(() => queues.pushAsync(endless, {}, { deadlineMs: 1000 }))).rejects.toMatchObject(invalid)
    const pushed = await queues.push(endless, {})
    await expect(pushed.result({ deadlineMs: 1000 })).rejects.toMatchObject(invalid)
  })
})

describe('another version of Strata', () => {
  const chain = [{ kind: 'run', name: 'r', id: 'r', level: 0 }]
  const call = () => ({ v: 1, kind: 'call', level: 1, chain, deadline: 9e12, callId: 'c', replyTo: randomUUID() })

  test('may be older: an envelope as an object that says nothing of when it was sent', async () => {
    await working(first, async ({ name }) => name)
    const lane = stage.bullmq('greet~1')
    await stage.openLane('greet~1')
    const now = sending().queues
    await now.start()
    const [replyTo = ''] = await liveProcesses()
    const strata = { ...call(), replyTo }
    const options = { attempts: 1, strata }
    const added = await lane.add('greet', { name: 'Ada' }, options)
    await until(async () => (await lane.getJob(added.id ?? ''))?.returnvalue === 'Ada', {
      deadlineMs: 5000,
      message: 'the older job to run',
    })
  })

  async function liveProcesses(): Promise<string[]> {
    const redis = new Redis(stage.redis)
    const ids = await redis.hkeys(`${stage.prefix}:~processes`)
    await redis.quit()
    return ids
  }

  test('may be newer: its jobs are left for its workers, then refused, and the caller is told so', async () => {
    await working(first, async ({ name }) => name)
    const redis = new Redis(stage.redis)
    const strata = JSON.stringify({ ...call(), v: 2, more: true })
    const { replyTo } = JSON.parse(strata) as { replyTo: string }
    const replies = `${stage.prefix}:~replies:${replyTo}`
    await redis.xadd(replies, '*', 'hello', '1')
    await stage.openLane('greet~1')
    const lane = stage.bullmq('greet~1')
    const options = { attempts: 3, strata }
    await lane.add('greet', { name: 'Ada' }, options)
    await delayed('greet~1', 1)
    const reply = await until(async () => (await redis.xrange(replies, '-', '+'))[1], {
      deadlineMs: 20_000,
      message: 'the refusal',
    })
    await redis.del(replies)
    await redis.quit()
    const told = JSON.parse(reply?.[1][3] ?? '') as { error: unknown }
    expect(told.error).toMatchObject({
      code: 'ENVELOPE_INVALID',
      outcome: 'not-applied',
      message: expect.stringContaining('version is 2, expected 1: update this worker'),
    })
    expect((await lane.getFailed())[0]).toMatchObject({ attemptsMade: 1 })
  }, 40_000)

  test('may answer: a newer reply is refused, and the one that can be read ends the call', async () => {
    const redis = new Redis(stage.redis)
    let begun = ''
    await working(first, async ({ name }, { job }) => {
      const { strata } = job.opts as { strata?: string }
      const { replyTo, callId } = JSON.parse(strata ?? '') as { replyTo: string; callId: string }
      begun = callId
      const newer = JSON.stringify({ v: 2, ok: true, value: 'newer' })
      await redis.xadd(`${stage.prefix}:~replies:${replyTo}`, '*', 'c', callId, 'r', newer)
      return name
    })
    expect(await sending().call(first, { name: 'Ada' })).toBe('Ada')
    expect(stage.reports.filter(report => report.includes(`Reply for call ${begun} cannot be read`))).toHaveLength(1)
    await redis.quit()
  })
})
