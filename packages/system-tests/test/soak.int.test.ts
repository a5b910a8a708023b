import { seedFrom } from '@strata/testkit'
import { expect, it } from 'vitest'
import { recordsFilledBy, type SoakSettings } from '../src/soak/settings.ts'
import { soak } from '../src/soak/soak.ts'
import { problemsOf } from '../src/soak/soak-table.ts'

/** A quarter of a minute on a machine that does nothing else. */
const timeout = 180_000
const warmUpMs = 4000
const rate = 20

/** The same soak on a small scale: seconds, a low rate, and lanes that keep fewer records, so that they are full early. */
const short: SoakSettings = {
  rate,
  // Other suites share the machine, and the draw of so few arrivals varies.
  rateShareMin: 0.5,
  warmUpMs,
  spanMs: 8000,
  workers: 1,
  payloadBytes: 1024,
  recordsKept: recordsFilledBy(rate, warmUpMs),
  seed: seedFrom().value,
}

const run = (settings: SoakSettings) => soak(settings, line => process.stderr.write(`${line}\n`))

it('calls three deep leave nothing behind', { timeout }, async () => {
  const result = await run(short)
  expect(problemsOf(result), result.stderr).toEqual([])
})

it('a worker that keeps one payload in five is found by its heap, and by nothing else', { timeout }, async () => {
  const result = await run({ ...short, payloadBytes: 64 * 1024, leakEvery: 5 })
  expect(problemsOf(result), result.stderr).toEqual([expect.stringMatching(/^worker 1.heapBytes grew /)])
})
