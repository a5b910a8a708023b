import { fileURLToPath } from 'node:url'
import { spawnNode } from '@strata/testkit'

const main = fileURLToPath(new URL('../../../../apps/lab/src/main.ts', import.meta.url))

/** What one run of the lab reports; the fields that the tests read. */
export interface LabReport {
  readonly roots: number
  readonly completed: number
  readonly failed: number
  readonly hung: number
  readonly symptoms: Readonly<Record<string, number>>
  readonly jobsRun?: number
  readonly writes?: number
  readonly falseOutcomes?: number
  readonly committed?: number
  readonly duplicates?: number
  readonly staleAccepted?: number
  readonly staleRefused?: number
  readonly kills?: number
  readonly verdict: 'as-expected' | 'unexpected'
}

/** Runs a scenario in processes of its own against running servers, as `npm run lab -- …` does. */
export async function runLab(
  args: readonly string[],
  servers: { mongoUrl: string; redisUrl: string },
): Promise<LabReport> {
  const env = { MONGO_URL: servers.mongoUrl, REDIS_URL: servers.redisUrl, STRATA_MONGO: 'url', STRATA_REDIS: 'url' }
  await using lab = await spawnNode(main, { args: ['lab', ...args, '--json'], env })
  const { code } = await lab.exited
  const line = lab.stdout().trimEnd().split('\n').at(-1) ?? ''
  if (!line.startsWith('{')) throw new Error(`lab ${args.join(' ')} ended with ${code}: ${lab.stderr()}`)
  return JSON.parse(line) as LabReport
}
