import { StrataError } from '@strata/db-context'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeError } from './encode-error.ts'
import { encodeReply, readRecordedEnd, readReply } from './reply.ts'
import { decodeError, readWireError } from './wire-error.ts'

const json = fc.jsonValue({ maxDepth: 3 }).map(value => JSON.parse(JSON.stringify(value)) as unknown)
const text = fc.string({ unit: 'grapheme', maxLength: 40 })

const strataError = fc
  .record({
    code: fc.constantFrom('INSUFFICIENT_FUNDS', 'CALL_TIMEOUT', 'X'),
    message: text,
    outcome: fc.constantFrom('applied', 'not-applied', 'unknown'),
    transient: fc.boolean(),
    details: fc.dictionary(text, json, { noNullPrototype: true }),
  })
  .map(
    ({ code, message, ...options }) =>
      new StrataError(code, message, { ...options, outcome: options.outcome as 'unknown' }),
  )

const travel = (error: unknown): Error => {
  const reply = readReply(encodeReply({ v: 1, ok: false, error: encodeError(error) }))
  if (reply?.ok !== false) throw new Error('No error came')
  return decodeError(reply.error)
}

describe('an error crosses whole', () => {
  test('a StrataError keeps all its fields', () => {
    fc.assert(
      fc.property(strataError, error => {
        const arrived = travel(error)
        expect(arrived).toBeInstanceOf(StrataError)
        const { name, message, code, outcome, transient, details } = error
        expect(arrived).toMatchObject({ name, message, code, outcome, transient })
        expect((arrived as StrataError).details).toEqual(details)
        expect(arrived).toMatchObject({ remoteStack: error.stack })
        expect(arrived.stack).not.toBe(error.stack)
      }),
    )
  })

  test('a chain of causes keeps its links, up to eight', () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 1, maxLength: 12 }), messages => {
        const error = messages.reduceRight<Error | undefined>(
          (cause, message) => new TypeError(message, cause && { cause }),
          undefined,
        )
        const arrived: string[] = []
        for (let at: unknown = travel(error); at instanceof Error; at = at.cause) arrived.push(at.message)
        expect(arrived).toEqual(messages.slice(0, 9))
      }),
    )
  })

  test('labels and a numeric code of a database error arrive', () => {
    const error = Object.assign(new Error('Write conflict'), { code: 112, errorLabels: ['TransientTransactionError'] })
    expect(travel(error)).toMatchObject({ code: 112, labels: ['TransientTransactionError'] })
    expect(travel(travel(error))).toMatchObject({ code: 112, labels: ['TransientTransactionError'] })
  })

  test('details that are not JSON are printed, the others stay whole', () => {
    const circle: Record<string, unknown> = {}
    circle['self'] = circle
    const details = { at: new Date(0), big: 1n, circle, limit: { ms: 5 } }
    expect((travel(new StrataError('X', 'x', { details })) as StrataError).details).toEqual({
      at: '"1970-01-01T00:00:00.000Z"',
      big: '1',
      circle: '[object Object]',
      limit: { ms: 5 },
    })
  })
})

describe('any error', () => {
  // Not among the names that every error has: those are carried by themselves.
  const key = text.map(name => `own ${name}`)
  const plain = fc
    .record({ message: text, code: fc.option(fc.oneof(text, fc.integer())), fields: fc.dictionary(key, json) })
    .map(({ message, code, fields }) => Object.assign(new RangeError(message), code === null ? {} : { code }, fields))
  const { tree } = fc.letrec<{ tree: Error }>(tie => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      plain,
      fc
        .tuple(fc.array(tie('tree'), { maxLength: 12 }), fc.option(tie('tree')), text)
        .map(([errors, cause, message]) => new AggregateError(errors, message, { cause })),
    ),
  }))

  test('keeps its name, message and code, and its own fields', () => {
    fc.assert(
      fc.property(plain, error => {
        const arrived = travel(error)
        expect({ ...arrived }).toEqual({ ...error, name: 'RangeError' })
        expect(arrived.message).toBe(error.message)
      }),
    )
  })

  test('of errors of errors is bounded, and says the same when it travels on', () => {
    fc.assert(
      fc.property(tree, error => {
        const wire = encodeError(error)
        expect(JSON.stringify(wire).length).toBeLessThanOrEqual(524_288)
        expect(readWireError(JSON.parse(JSON.stringify(wire)))).toEqual(wire)
        const { stack: _, ...onward } = encodeError(travel(error))
        expect(onward.message).toBe(wire.message)
        expect(onward.errors?.length).toBe(wire.errors?.length)
      }),
      { numRuns: 50 },
    )
  })

  test('whose parts are huge keeps what is branched on', () => {
    const blob = 'x'.repeat(60_000)
    const part = () => new StrataError('PART', 'p', { details: { blob } })
    const error = Object.assign(new StrataError('WHOLE', 'w', { outcome: 'applied', cause: part() }), {
      errors: Array.from({ length: 20 }, part),
    })
    expect(encodeError(error)).toEqual({
      name: 'StrataError',
      message: 'w',
      code: 'WHOLE',
      outcome: 'applied',
      transient: false,
      labels: [],
      details: { tooLarge: 'more than 524288 characters' },
    })
  })
})

test('whatever is thrown becomes an error', () => {
  fc.assert(
    fc.property(fc.anything(), thrown => {
      expect(travel(thrown)).toBeInstanceOf(Error)
    }),
  )
})

test('a circle of causes ends, and a long message is cut', () => {
  const error = new Error('x'.repeat(100_000))
  error.cause = error
  const arrived = travel(error)
  expect(arrived.message.length).toBeLessThan(10_000)
  expect(arrived.cause).toBeUndefined()
})

describe('what a stranger wrote is read or refused, and never throws', () => {
  test('replies', () => {
    const almost = fc.record({ v: json, ok: json, error: json, value: json }, { requiredKeys: [] })
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          json.map(value => JSON.stringify(value)),
          almost.map(value => JSON.stringify(value)),
        ),
        found => {
          const reply = readReply(found)
          if (reply?.ok === false) expect(decodeError(reply.error)).toBeInstanceOf(Error)
        },
      ),
    )
  })

  test('errors', () => {
    const almost = fc.record(
      { name: text, message: text, code: json, outcome: json, labels: json, details: json, cause: json, stack: json },
      { requiredKeys: ['name', 'message'] },
    )
    fc.assert(
      fc.property(almost, found => {
        const wire = readWireError(found)
        if (wire) expect(decodeError(wire).message).toBe(found.message)
      }),
    )
  })

  test('records of jobs', () => {
    const field = fc.option(
      fc.oneof(
        fc.string(),
        json.map(value => JSON.stringify(value)),
      ),
    )
    fc.assert(
      fc.property(fc.boolean(), fc.array(field, { maxLength: 4 }), (exists, fields) => {
        const end = readRecordedEnd(exists, fields)
        expect(exists ? true : end === 'gone').toBe(true)
      }),
    )
  })
})

test('a result arrives as it was', () => {
  fc.assert(
    fc.property(json, value => {
      expect(readReply(encodeReply({ v: 1, ok: true, value }))).toEqual({ v: 1, ok: true, value })
    }),
  )
  expect(readReply(encodeReply({ v: 1, ok: true }))).toEqual({ v: 1, ok: true })
})
