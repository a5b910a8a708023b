import { defineJob } from '@strata/queue'
import { z } from 'zod'

/** Writes a note; its result is how many runs of the handler there had been. */
export const note = defineJob({
  name: 'note',
  input: z.object({ id: z.string() }),
  output: z.object({ id: z.string(), run: z.number() }),
})
