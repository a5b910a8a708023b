import { dbContextError, StrataError } from '@strata/db-context'
import { schoolError, schoolErrors, schoolRefusals, studentNotFound } from '@strata/school'
import { describe, expect, test } from 'vitest'
import { apiErrors } from './errors.ts'
import { problemOf, problemSchema, statusOf } from './problems.ts'

describe('the status of a code', () => {
  test.for([
    ['REQUEST_INVALID', 400],
    ['BODY_INVALID', 400],
    ['URL_INVALID', 400],
    ['STUDENT_NOT_FOUND', 404],
    ['ACCOUNT_NOT_FOUND', 404],
    ['ROUTE_NOT_FOUND', 404],
    ['ACCOUNT_EXISTS', 409],
    ['INSUFFICIENT_FUNDS', 409],
    ['IDEMPOTENCY_IN_PROGRESS', 409],
    ['IDEMPOTENCY_KEY_REUSED', 422],
    ['BODY_TOO_LARGE', 413],
    ['MEDIA_TYPE_UNSUPPORTED', 415],
    ['EXPECTATION_UNSUPPORTED', 417],
    ['HEADERS_TOO_LARGE', 431],
    ['HTTP_INVALID', 400],
    ['REQUEST_TIMEOUT', 408],
    ['ADMISSION_FULL', 503],
    ['POOL_TIMEOUT', 503],
    ['CALL_TIMEOUT', 504],
    ['LEVEL_LIMIT', 500],
    ['INTERNAL', 500],
    ['constructor', 500],
  ] as const)('%s is %d', ([code, status]) => {
    expect(statusOf(code)).toBe(status)
  })

  test('every refusal of the school is the sender’s to understand', () => {
    expect(Object.keys(schoolRefusals).filter(code => statusOf(code) >= 500)).toEqual([])
  })
})

describe('a problem', () => {
  test('tells code, outcome and detail of an error of ours', () => {
    expect(problemOf(studentNotFound('7'), 'r1')).toEqual({
      type: 'urn:strata:problem:student-not-found',
      title: schoolErrors.STUDENT_NOT_FOUND.when,
      status: 404,
      code: 'STUDENT_NOT_FOUND',
      outcome: 'not-applied',
      transient: false,
      detail: 'No student has the id 7',
    })
  })

  test('of an error that came from another copy of the packages is the same', () => {
    const foreign = Object.assign(new Error('No connection'), {
      code: 'POOL_TIMEOUT',
      outcome: 'not-applied',
      transient: true,
    })
    expect(problemOf(foreign, 'r1')).toMatchObject({ status: 503, code: 'POOL_TIMEOUT', transient: true })
  })

  test('tells nothing of an error that nobody foresaw', () => {
    const problem = problemOf(new Error('password is hunter2'), 'r1')
    expect(problem).toMatchObject({ status: 500, code: 'INTERNAL', outcome: 'unknown' })
    expect(problem.title).toBe(apiErrors.INTERNAL.when)
    expect(JSON.stringify(problem)).not.toContain('hunter2')
    expect(problem.detail).toContain('r1')
  })

  test('of something thrown that is no error is one all the same', () => {
    expect(problemOf(undefined, 'r1')).toMatchObject({ status: 500, code: 'INTERNAL' })
  })

  test('never carries a stack, a cause or details', () => {
    const error = dbContextError('POOL_TIMEOUT', 'No connection', { cause: new Error('inner'), details: { a: 1 } })
    const { id: _, ...shape } = problemSchema.shape
    expect(Object.keys(problemOf(error, 'r1')).sort()).toEqual(Object.keys(shape).sort())
  })

  test('of a transfer that was canceled has its id', () => {
    const details = { id: 't1' }
    expect(problemOf(schoolError('INSUFFICIENT_FUNDS', 'Too little', { details }), 'r1')).toMatchObject(details)
    expect(problemOf(dbContextError('POOL_TIMEOUT', 'No connection', { details }), 'r1')).not.toHaveProperty('id')
  })

  test('of a job that failed for no reason of ours keeps its reason inside', () => {
    const error = new StrataError('JOB_FAILED', 'connect ECONNREFUSED 10.0.0.7', { outcome: 'unknown' })
    const problem = problemOf(error, 'r1')
    expect(problem).toMatchObject({ status: 500, code: 'JOB_FAILED', outcome: 'unknown' })
    expect(problem.detail).not.toContain('10.0.0.7')
  })
})
