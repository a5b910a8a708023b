import { writeSync } from 'node:fs'
import { seedFrom } from '@strata/testkit'
import { expect, it } from 'vitest'
import { readSettings } from './settings.ts'
import { soak } from './soak.ts'
import { problemsOf, soakTable } from './soak-table.ts'

it('calls three deep leave nothing behind', async () => {
  const settings = readSettings(process.env, seedFrom().value)
  const result = await soak(settings, line => process.stderr.write(`${line}\n`))
  writeSync(1, `\n${soakTable(result)}\n\n`)
  expect(problemsOf(result), result.stderr).toEqual([])
})
