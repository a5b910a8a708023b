import { dbContextError } from '@strata/db-context'
import { MongoNetworkError, MongoServerError } from 'mongodb'
import { describe, expect, it } from 'vitest'
import { classify } from './classify.ts'

const server = (code: number, labels: string[] = []) =>
  new MongoServerError({ code, errorLabels: labels, message: 'm' })

describe('an error is read by name, code and label', () => {
  it.each([
    [
      'a write conflict',
      server(112, ['TransientTransactionError']),
      { transient: true, conflict: true, endsTransaction: true },
    ],
    [
      'a lock timeout',
      server(24, ['TransientTransactionError']),
      { transient: true, conflict: true, endsTransaction: true },
    ],
    [
      'a ticket that is not to be had',
      new MongoServerError({
        code: 24,
        message: "Unable to acquire ticket with mode '2' within a max lock request timeout of '5ms' milliseconds.",
      }),
      { transient: true, conflict: true, lack: 'write tickets', endsTransaction: true },
    ],
    [
      'a transaction that is gone',
      server(251, ['TransientTransactionError']),
      { transient: true, conflict: false, endsTransaction: true },
    ],
    ['an election', server(10107), { transient: true, conflict: false, endsTransaction: true }],
    ['a duplicate key', server(11_000), { transient: false, conflict: false, endsTransaction: true }],
    ['a cut connection', new MongoNetworkError('cut'), { transient: true, conflict: false, endsTransaction: true }],
    [
      'a cut socket',
      Object.assign(new Error('write'), { code: 'ECONNRESET' }),
      { transient: true, conflict: false, endsTransaction: true },
    ],
    ['an error of the application', new Error('mine'), { transient: false, conflict: false, endsTransaction: false }],
    ['no error at all', undefined, { transient: false, conflict: false, endsTransaction: false }],
  ])('%s', (_, error, expected) => {
    expect(classify(error)).toEqual(expected)
  })

  it('of another copy of the driver', () => {
    const copy = { name: 'MongoServerError', code: 112, errorLabels: ['TransientTransactionError'] }
    expect(classify(copy)).toEqual({ transient: true, conflict: true, endsTransaction: true })
  })

  // As the queue makes them again on this side; what other work met says nothing of a transaction here.
  const remote = (error: Error) => Object.defineProperty(error, 'remoteStack', { value: 'Error: there' })
  const copied = () => Object.assign(new Error('there'), { name: 'MongoServerError', code: 112 })
  it.each([
    ['from another process', remote(copied())],
    ['that has another process to blame', dbContextError('LOCK_TIMEOUT', 'held', { cause: remote(copied()) })],
    ['of ours from another process', remote(dbContextError('LOCK_TIMEOUT', 'held', { cause: copied() }))],
    ['of an ancestor there', remote(dbContextError('ANCESTOR_LOCK', 'held'))],
    ['of a network there', remote(Object.assign(new Error('there'), { code: 'ECONNRESET' }))],
    ['that bears the number of a conflict and is no answer of a server', Object.assign(new Error('m'), { code: 112 })],
    ['that bears the number of an election and is none', Object.assign(new Error('m'), { code: 91 })],
  ])('one %s is no failure of this server', (_, error) => {
    expect(classify(error)).toEqual({ transient: false, conflict: false, endsTransaction: false })
  })

  it('as what it was made from, where it is one of ours', () => {
    const ours = dbContextError('DEADLINE_EXCEEDED', 'late', { cause: server(50) })
    expect(classify(ours)).toEqual({ transient: false, conflict: false, endsTransaction: true })
    expect(classify(dbContextError('POOL_TIMEOUT', 'full'))).toEqual({
      transient: false,
      conflict: false,
      endsTransaction: false,
    })
  })
})
