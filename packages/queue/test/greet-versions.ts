import { z } from 'zod'
import { defineJob } from '../src/index.ts'

/** Version 1. */
export const first = defineJob({ name: 'greet', input: z.object({ name: z.string() }), output: z.string() })

/** Version 2 has one more field, and a default for jobs that were sent without it. */
export const second = defineJob({
  name: 'greet',
  input: z.object({ name: z.string(), title: z.string().default('Dr') }),
  output: z.string(),
})

/** Version 1, where a field that it does not know must not be passed over in silence. */
export const strictFirst = defineJob({ name: 'greet', input: z.strictObject({ name: z.string() }), output: z.string() })
