import { hasCode, StrataError } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import { z } from 'zod'
import { defineJob, type QueuesOptions } from '../src/index.ts'
import type { Stage } from './stage.ts'

const shape = { input: z.object({ n: z.number() }), output: z.number() }
const inner = defineJob({ name: 'inner', ...shape })
const middle = defineJob({ name: 'middle', ...shape })
const outer = defineJob({ name: 'outer', ...shape })

/** How a call ended. */
export interface End {
  readonly n: number
  readonly value?: number
  readonly error?: unknown
}

/** Calls that flow, each of them three deep, and a ledger of what their handlers began. */
export interface Load {
  /** One call, whatever becomes of it. */
  call(deadlineMs?: number): Promise<End>
  /** Pushes a job and tells the key of its record. */
  push(): Promise<string>
  /** Calls until it is stopped, so many at once. */
  flow(callers: number, deadlineMs: number): { stop(): Promise<End[]> }
  /** Which handlers have begun and written, as `outer 7` for the first of call 7. */
  readonly begun: ReadonlySet<string>
}

/** Starts a worker and a caller on that Redis. */
export async function startLoad(stage: Stage, options: Pick<QueuesOptions, 'redis' | 'prefix'>): Promise<Load> {
  const begun = new Set<string>()
  const data = new FakeDatasource({ pool: { max: 20, timeoutMs: 5000 } })
  const workerDb = stage.db({ datasource: data })
  const nested = stage.queues(workerDb, options)
  // A job that a fetcher took and never heard of comes back within 4 s, where a user's would within 15 s.
  const stalled = { lockDurationMs: 3000, stalledIntervalMs: 1000 }
  const worker = stage.worker(workerDb, { ...options, lanes: { slots: 4 }, stalled })
  const begin = async (job: string, n: number) => {
    await data.add(`${job} ${n}`)
    begun.add(`${job} ${n}`)
  }
  worker.handle(inner, async ({ n }) => {
    await begin('inner', n)
    return n
  })
  worker.handle(middle, async ({ n }) => {
    await begin('middle', n)
    return await nested.pushAsync(inner, { n })
  })
  worker.handle(outer, async ({ n }) => {
    await begin('outer', n)
    return await nested.pushAsync(middle, { n })
  })
  await worker.start()
  const db = stage.db()
  const queues = stage.queues(db, options)
  let last = 0
  const call = async (deadlineMs = 20_000): Promise<End> => {
    const n = ++last
    try {
      return { n, value: await db.run(() => queues.pushAsync(outer, { n }, { deadlineMs })) }
    } catch (error) {
      return { n, error }
    }
  }
  const flow = (callers: number, deadlineMs: number) => {
    let isOn = true
    const ends: End[] = []
    const caller = async () => {
      while (isOn) {
        const end = await call(deadlineMs)
        ends.push(end)
        // A test that has failed stops the queues before it stops the flow.
        if (hasCode(end.error, 'QUEUE_STOPPED')) return
      }
    }
    const calling = Promise.all(Array.from({ length: callers }, caller))
    const stop = async () => {
      isOn = false
      await calling
      return ends
    }
    return { stop }
  }
  const push = async () => `${options.prefix}:inner:${(await queues.push(inner, { n: 0 })).id}`
  return { call, flow, push, begun }
}

/** What is wrong with how the calls ended. */
export const faultsOf = (ends: readonly End[], begun: ReadonlySet<string>): string[] =>
  ends.map(end => faultOf(end, begun)).filter(fault => fault !== undefined)

/** What is wrong with how a call ended: nothing, if it has its own result, or an error that does not say too much. */
function faultOf({ n, value, error }: End, begun: ReadonlySet<string>): string | undefined {
  if (error === undefined) return value === n ? undefined : `call ${n} got the result ${value}`
  if (!(error instanceof StrataError)) return `call ${n} ended with ${String(error)}`
  const written = ['outer', 'middle', 'inner'].map(name => `${name} ${n}`).find(job => begun.has(job))
  const isUntrue = error.outcome === 'not-applied' && written !== undefined
  return isUntrue ? `${written} is said not to have been applied, and was begun: ${error.message}` : undefined
}
