import { consistencyErrors } from '@strata/consistency/errors'
import { dbContextErrors, type ErrorSpec } from '@strata/db-context'
import { mongoErrors } from '@strata/mongo'
import { queueErrors } from '@strata/queue'
import { expect, it } from 'vitest'
import { printErrors } from './errors-page.ts'

const registries = {
  'db-context': dbContextErrors,
  mongo: mongoErrors,
  queue: queueErrors,
  consistency: consistencyErrors,
}

it('the page of errors is what the registries say', async () => {
  await expect(printErrors(registries)).toMatchFileSnapshot('../../../../docs/reference/errors.md')
})

it('a code that two packages throw means the same in both', () => {
  const specs = Object.values(registries).flatMap(registry => Object.entries<ErrorSpec>(registry))
  const meanings = Object.groupBy(specs, ([code]) => code)
  for (const [code, of = []] of Object.entries(meanings)) {
    const different = new Set(of.map(([, { outcome, transient }]) => `${outcome} ${transient}`))
    expect([code, different.size]).toEqual([code, 1])
  }
})
