import type { KeepJobs } from 'bullmq'

/** How long the record of an ended job is kept, so that a result whose reply was lost can still be read. */
export const kept: KeepJobs = { age: 3600, count: 10_000 }
