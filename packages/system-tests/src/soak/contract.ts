import { defineJob, type JobInput } from '@strata/queue'
import { z } from 'zod'

/** One step of a call: it calls the next one until the depth is reached, and tells the levels it and those below ran at. */
export const step = defineJob({
  name: 'soak-step',
  /** `isFull`: the database is used at every level. */
  input: z.object({ n: z.int(), isFull: z.boolean(), text: z.string() }),
  output: z.object({ n: z.int(), levels: z.array(z.int()) }),
})

export type StepInput = JobInput<typeof step>

/** Documents that calls write: few enough that the collections do not grow. */
export const documents = 1000

export interface Tally {
  readonly _id: number
  readonly count: number
}
