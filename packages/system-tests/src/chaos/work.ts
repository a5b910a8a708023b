import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { CallPlan } from './plan.ts'

/** Where in a job's run a worker can be held: taken but not begun, in the handler, ended but not answered. */
export type HoldPoint = 'before' | 'during' | 'after'

/** What a process does with a value that passes a point of a job's run. */
export type Passing = (point: HoldPoint, id: string) => Promise<void>

const planSchema: z.ZodType<CallPlan, CallPlan> = z.lazy(() =>
  z.object({
    id: z.string(),
    atMs: z.number(),
    deadlineMs: z.number(),
    sleepMs: z.number(),
    bytes: z.number(),
    removeOnComplete: z.boolean(),
    isRefused: z.boolean(),
    mindsPauses: z.boolean(),
    child: planSchema.optional(),
  }),
)
const outputSchema = z.object({ id: z.string(), stamp: z.string(), text: z.string() })

/**
 * The one job of all faults. A worker checks the input right before its handler and the result right after it: the schemas are
 * the doors at which a process can be held there, through the public contract.
 */
export function workJob(passing: Passing = async () => {}) {
  const input = planSchema.refine(async ({ id }) => passing('before', id).then(() => true))
  const output = outputSchema.refine(async ({ id }) => passing('after', id).then(() => true))
  return defineJob({ name: 'work', input, output })
}

export type WorkJob = ReturnType<typeof workJob>
