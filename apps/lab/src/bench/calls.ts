import type { Servers } from '@strata/testkit'
import { Redis } from 'ioredis'
import type { Benchmark, BenchOptions, Contest, Contestant, OpenBenchmark } from './benchmark.ts'
import { median } from './median.ts'
import { Field, type LoadSide } from './peer/field.ts'
import type { System } from './peer/station.ts'

const callers = 100
/** A lone caller asks as a person's click does, not as a load. */
const lone = { processes: 1, callers: 1, slots: 10, idleMs: 50 } as const
/** Longer than the way of a word to sixteen processes and back is worth. */
const callsSliceMs = 500
/** Twenty calls and more: their median is the slice's figure. */
const loneSliceMs = 1250
const goalsByProcesses: Readonly<Record<number, number>> = { 1: 2, 16: 3 }

/** Awaited jobs: ours against BullMQ's wait and the fastest peer, by several waiting processes and one worker process. */
export const calls: Benchmark = {
  name: 'calls',
  what: 'a job and its result: pushAsync against BullMQ add + waitUntilFinished, 100 callers over several processes',
  open,
}

async function open({ redisUrl }: Servers, { processes }: BenchOptions): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const redis = new Redis(redisUrl)
  undo.defer(() => redis.disconnect())
  const field = undo.use(await Field.open(Math.max(1, ...processes)))
  const side = (system: System, count: number) =>
    field.side({ id: `${system}-${count}`, system, redisUrl, processes: count, callers, slots: callers })
  const ours = new Map<number, LoadSide>()
  const contests: Contest[] = []
  for (const count of new Set([...processes, 1])) {
    const load = await side('strata', count)
    ours.set(count, load)
    if (processes.includes(count)) contests.push(throughput(count, load, await side('bullmq', count)))
  }
  const [one, most] = [ours.get(1), ours.get(Math.max(...processes))] as const
  if (one !== undefined) contests.push(peer(one, await side('platformatic', 1)))
  contests.push(await loneCall(field, { redisUrl, id: 'calls.lone.p50', goal: 1 }))
  if (one !== undefined && most !== undefined && most !== one) contests.push(bytes(redis, { one, most, processes }))
  const stack = undo.move()
  return { contests, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

function throughput(count: number, ours: LoadSide, reference: LoadSide): Contest {
  const goal = goalsByProcesses[count]
  return {
    id: `calls.p${count}.throughput`,
    what: `${callers} callers in ${count} waiting process${count === 1 ? '' : 'es'}, one worker process, against BullMQ add + waitUntilFinished`,
    ...callRate,
    ...(goal === undefined ? {} : { goal }),
    ours: perSecond(ours),
    reference: perSecond(reference),
  }
}

function peer(ours: LoadSide, reference: LoadSide): Contest {
  return {
    id: 'calls.p1.platformatic',
    what: `${callers} callers in one waiting process, one worker process, against @platformatic/job-queue enqueueAndWait`,
    ...callRate,
    goal: 1,
    ours: perSecond(ours),
    reference: perSecond(reference),
  }
}

/** One call at a time with a pause between, on any way to Redis. */
export async function loneCall(
  field: Field,
  { redisUrl, id, goal }: { readonly redisUrl: string; readonly id: string; readonly goal: number },
): Promise<Contest> {
  const side = (system: System) => field.side({ id: `lone-${system}`, system, redisUrl, ...lone })
  const middle =
    (load: LoadSide): Contestant =>
    async forMs =>
      median((await load(forMs)).ms)
  return {
    id,
    what: `one call at a time, ${lone.idleMs} ms idle between, ${lone.slots} jobs at once in the worker, against BullMQ`,
    unit: 'ms',
    better: 'lower',
    sliceMs: loneSliceMs,
    goal,
    ours: middle(await side('strata')),
    reference: middle(await side('bullmq')),
  }
}

interface Spread {
  readonly one: LoadSide
  readonly most: LoadSide
  readonly processes: readonly number[]
}

/** Both sides are ours: what a call costs Redis must not grow with the processes that wait. */
function bytes(redis: Redis, { one, most, processes }: Spread): Contest {
  const perCall =
    (load: LoadSide): Contestant =>
    async forMs => {
      const before = await bytesSent(redis)
      const seen = await load(forMs)
      return ((await bytesSent(redis)) - before) / seen.calls
    }
  return {
    id: 'calls.bytes',
    what: `bytes that Redis sends for a call of ours, with ${Math.max(...processes)} waiting processes against one`,
    unit: 'bytes/call',
    better: 'lower',
    sliceMs: callsSliceMs,
    goal: 1.1,
    ours: perCall(most),
    reference: perCall(one),
  }
}

async function bytesSent(redis: Redis): Promise<number> {
  const found = /total_net_output_bytes:(\d+)/.exec(await redis.info('stats'))
  return Number(found?.[1] ?? Number.NaN)
}

export const callRate = { unit: 'calls/s', better: 'higher', sliceMs: callsSliceMs } as const

export const perSecond =
  (load: LoadSide): Contestant =>
  async forMs => {
    const { calls, seconds } = await load(forMs)
    return calls / seconds
  }
