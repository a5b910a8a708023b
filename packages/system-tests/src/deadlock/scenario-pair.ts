import { expect, inject } from 'vitest'
import { type LabReport, runLab } from './lab.ts'

/** What a report has to show. */
export type Expected = Partial<LabReport>

/** Scenario, its flags, and what must show without and with levels. */
export type Pair = readonly [string, readonly string[], (report: LabReport) => Expected, Expected]

/** A run on the servers of these suites. */
export const run = (...args: string[]): Promise<LabReport> =>
  runLab(args, { mongoUrl: inject('mongoUrl'), redisUrl: inject('redisUrl') })

/** A deadline at which a hang is called one; a run that completes takes a fraction of it. */
export const hang = ['--isolation', 'none', '--deadline-ms', '4000']

/** At least one root hangs, and what it waits for is this. */
export function hangsIn(symptom: string) {
  return (report: LabReport): Expected => {
    expect(report.hung).toBeGreaterThan(0)
    expect(report.symptoms[symptom] ?? 0).toBeGreaterThan(0)
    return {}
  }
}

export async function showsItsSymptom([scenario, flags, without]: Pair): Promise<void> {
  const report = await run(scenario, ...flags, ...hang)
  expect(report).toMatchObject({ verdict: 'as-expected', ...without(report) })
}

export async function endsAsPromised([scenario, flags, , withLevels]: Pair): Promise<void> {
  expect(await run(scenario, ...flags)).toMatchObject({ verdict: 'as-expected', hung: 0, ...withLevels })
}
