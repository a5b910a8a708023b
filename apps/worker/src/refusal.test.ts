import { StrataError } from '@strata/db-context'
import { schoolError, studentNotFound } from '@strata/school'
import { describe, expect, test } from 'vitest'
import { withoutRetryOfRefusals } from './refusal.ts'

const failWith = async (error: Error, attemptsStarted: number): Promise<unknown> => {
  const handler = withoutRetryOfRefusals(() => {
    throw error
  })
  return await handler(undefined, { job: { attemptsStarted } }).catch((thrown: unknown) => thrown)
}

describe('a refusal', () => {
  test('of the first run is not tried again, and keeps its outcome', async () => {
    const refused = schoolError('INSUFFICIENT_FUNDS', 'Too little', { details: { feeCents: 1 } })
    const thrown = await failWith(refused, 1)
    expect(thrown).toBe(refused)
    expect(thrown).toMatchObject({ name: 'UnrecoverableError', outcome: 'not-applied' })
  })

  test('of a later run knows nothing of the runs before it', async () => {
    const refused = studentNotFound('7')
    expect(await failWith(refused, 2)).toMatchObject({
      name: 'UnrecoverableError',
      code: 'STUDENT_NOT_FOUND',
      message: refused.message,
      outcome: 'unknown',
      details: { studentId: '7' },
      cause: refused,
    })
  })
})

test.for([1, 2])('what is no refusal stays what it is in run %d', async run => {
  const failed = new StrataError('LOCK_TIMEOUT', 'Taken', { transient: true })
  expect(await failWith(failed, run)).toBe(failed)
  expect(failed).toMatchObject({ name: 'StrataError', outcome: 'not-applied' })
})
