import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type CallEnvelope, type Envelope, findReplyAddress, readEnvelope } from './envelope.ts'
import { callLane, pushLane } from './lane.ts'

const text = fc.string({ maxLength: 60 })
const writes = fc.record(
  {
    transaction: text,
    name: text,
    level: fc.nat(64),
    collections: fc.array(
      fc.record({ collection: text, ids: fc.array(text, { maxLength: 8 }), isComplete: fc.boolean() }),
      {
        maxLength: 4,
      },
    ),
  },
  { requiredKeys: ['transaction', 'level', 'collections'] },
)
const link = fc.record(
  {
    kind: fc.constantFrom('run', 'job'),
    name: text,
    id: text,
    level: fc.nat(64),
    writes: fc.array(writes, { maxLength: 4 }),
    locks: fc.array(fc.stringMatching(/^[\w-]{16}$/), { maxLength: 8 }),
  },
  { requiredKeys: ['kind', 'name', 'id', 'level'] },
)
const call = fc.record({
  v: fc.constant(1 as const),
  kind: fc.constant('call' as const),
  level: fc.integer({ min: 1, max: 64 }),
  chain: fc.array(link, { maxLength: 64 }),
  deadline: fc.nat(),
  sent: fc.nat(),
  replyTo: fc.uuid(),
  callId: text,
})

const over = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

test('a call is read as it was written, in the lane of its level only', () => {
  fc.assert(
    fc.property(call, fc.integer({ min: 1, max: 64 }), (written, level) => {
      const envelope = written as CallEnvelope
      expect(readEnvelope(over(written), callLane('q', written.level, true))).toEqual(envelope)
      expect(readEnvelope(over(written), pushLane('q', false))).toEqual(envelope)
      const read = () => readEnvelope(over(written), callLane('q', level, true))
      if (level === written.level) read()
      else expect(read).toThrow(expect.objectContaining({ code: 'ENVELOPE_INVALID', outcome: 'not-applied' }))
      expect(() => readEnvelope(over(written), pushLane('q', true))).toThrow()
    }),
  )
})

test('a push is read among the pushes only, and a job without an envelope is one', () => {
  const push: Envelope = { v: 1, kind: 'push', level: 3 }
  expect(readEnvelope(over(push), pushLane('q', true))).toEqual(push)
  expect(readEnvelope(undefined, pushLane('q', true))).toEqual({ v: 1, kind: 'push', level: 1 })
  expect(() => readEnvelope(over(push), callLane('q', 3, true))).toThrow()
  expect(() => readEnvelope(undefined, callLane('q', 3, true))).toThrow()
})

describe('what a stranger wrote is refused with a code, and nothing else is thrown', () => {
  const json = fc.jsonValue()
  const almost = fc.record(
    {
      v: fc.constantFrom(1, 2, '1'),
      kind: fc.constantFrom('call', 'push', 'x'),
      level: json,
      chain: json,
      deadline: json,
      replyTo: json,
      callId: json,
    },
    { requiredKeys: [] },
  )

  test('fuzz', () => {
    fc.assert(
      fc.property(
        fc.oneof(json, almost),
        fc.constantFrom(pushLane('q', true), pushLane('q', false), callLane('q', 1, true)),
        (found, lane) => {
          findReplyAddress(found)
          try {
            const { level } = readEnvelope(found, lane)
            expect(level).toBeGreaterThanOrEqual(1)
          } catch (error) {
            expect(error).toMatchObject({ code: 'ENVELOPE_INVALID', details: { lane: lane.name } })
          }
        },
      ),
    )
  })

  const good = { v: 1, kind: 'call', level: 1, chain: [], deadline: 1, replyTo: randomUUID(), callId: 'c' }
  const link = { kind: 'job', name: 'n', id: 'i', level: 1 }
  test.each([
    ['a forged level', { ...good, level: -1 }],
    ['a level that is no whole number', { ...good, level: 1.5 }],
    ['a chain of 10,000 links', { ...good, chain: Array(10_000).fill(link) }],
    ['a chain that is no chain', { ...good, chain: [null] }],
    ['writes that are none', { ...good, chain: [{ ...link, writes: [{ transaction: 1 }] }] }],
    ['an address that is a key', { ...good, replyTo: 'x:~replies:y' }],
    ['an endless id', { ...good, callId: 'x'.repeat(10_000) }],
    ['no deadline', { ...good, deadline: undefined }],
  ])('%s', (_, found) => {
    expect(() => readEnvelope(found, callLane('q', 1, true))).toThrow(
      expect.objectContaining({ code: 'ENVELOPE_INVALID' }),
    )
  })

  test('a prototype that came along is dropped', () => {
    const found: unknown = JSON.parse(`{"__proto__":{"kind":"push"},"v":1,"kind":"push","level":1,"more":1}`)
    expect(readEnvelope(found, pushLane('q', true))).toEqual({ v: 1, kind: 'push', level: 1 })
  })
})
