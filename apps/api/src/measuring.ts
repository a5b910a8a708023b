import { startMetrics } from '@strata/school/metrics'

/** The measurements of this process; `main.ts` loads this before anything that measures. */
export const metrics = startMetrics()
