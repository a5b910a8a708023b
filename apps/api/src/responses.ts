import type { z } from 'zod'
import { problemMediaType, problemSchema, statusOf } from './problems.ts'

/** The problems that a route can answer with, for its description: one entry a status, naming the codes. */
export function problems(...codes: readonly string[]) {
  const byStatus = Map.groupBy(codes, statusOf)
  return Object.fromEntries(
    [...byStatus].map(([status, named]) => [
      status,
      { description: named.join(', '), content: { [problemMediaType]: { schema: problemSchema } } },
    ]),
  )
}

/** What any route with a body and work in the database can answer with, whatever it does. */
export const usualProblems = [
  'REQUEST_INVALID',
  'BODY_INVALID',
  'BODY_TOO_LARGE',
  'MEDIA_TYPE_UNSUPPORTED',
  'ADMISSION_FULL',
  'POOL_TIMEOUT',
  'INTERNAL',
]

/** An answer with its description and an example, checked against its own schema by the type. */
export const answer = <Schema extends z.ZodObject>(schema: Schema, example: z.input<Schema>) =>
  schema.meta({ examples: [example] })
