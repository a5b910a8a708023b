import { type Servers, startFaultProxy } from '@strata/testkit'
import { Redis } from 'ioredis'
import type { Benchmark, Contest, OpenBenchmark } from './benchmark.ts'
import { callRate, loneCall, perSecond } from './calls.ts'
import { median } from './median.ts'
import { Field } from './peer/field.ts'
import type { System } from './peer/station.ts'

const callers = 64
const slots = 100
/** Of each direction. The proxy adds up to a millisecond to it: about 4.5 ms there and back, as between two data centres of a region. */
const oneWayMs = 2

/** Awaited jobs over a slow way to Redis, for both the callers and the worker. */
export const link: Benchmark = {
  name: 'link',
  what: 'calls through a link of about 4.5 ms round trip: pushAsync against one BullMQ worker of concurrency 100',
  open,
}

async function open({ redisUrl: direct }: Servers): Promise<OpenBenchmark> {
  await using undo = new AsyncDisposableStack()
  const proxy = undo.use(await startFaultProxy(direct))
  proxy.delay(oneWayMs)
  const redisUrl = proxy.url
  const roundTripMs = await roundTrip(redisUrl)
  const field = undo.use(await Field.open(1))
  const side = (system: System) => field.side({ id: `link-${system}`, system, redisUrl, processes: 1, callers, slots })
  const throughput: Contest = {
    id: 'link.throughput',
    what: `${callers} callers through a link of ${roundTripMs.toFixed(1)} ms round trip, ${slots} jobs at once in one worker process, against BullMQ`,
    ...callRate,
    goal: 5,
    ours: perSecond(await side('strata')),
    reference: perSecond(await side('bullmq')),
  }
  const contests = [throughput, await loneCall(field, { redisUrl, id: 'link.lone.p50', goal: 0.8 })]
  const stack = undo.move()
  return { contests, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** The median of some pings: what the link really is. */
async function roundTrip(redisUrl: string): Promise<number> {
  const redis = new Redis(redisUrl)
  try {
    const took: number[] = []
    for (let ping = 0; ping < 50; ping += 1) {
      const begun = performance.now()
      await redis.ping()
      took.push(performance.now() - begun)
    }
    return median(took)
  } finally {
    redis.disconnect()
  }
}
