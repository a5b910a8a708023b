import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findEnvelope, isNewer, readEnvelope } from './envelope.ts'
import { readGivenUp } from './given-up.ts'
import { callLane, parseCallLane, pushLane } from './lane.ts'
import { readEntry } from './presence.ts'
import { readRecordedEnd, readReply } from './reply.ts'

const json = fc.jsonValue({ maxDepth: 3 })
const rubbish = fc.oneof(
  fc.string({ unit: 'binary' }),
  json.map(value => JSON.stringify(value)),
  fc
    .tuple(
      json.map(value => JSON.stringify(value)),
      fc.nat(20),
    )
    .map(([text, cut]) => text.slice(0, -cut)),
  fc.constantFrom(
    '{"__proto__":{"polluted":1}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '[[[[',
    'nan',
    '1e999',
  ),
)

/** Some of the names that a decoder looks for, with whatever value. */
const almost = (...names: string[]) =>
  fc
    .record(Object.fromEntries(names.map(name => [name, json])), { requiredKeys: [] })
    .map(value => JSON.stringify(value))

const unpolluted = () => expect(({} as { polluted?: number }).polluted).toBeUndefined()

describe('what anybody may have written is read or refused, and nothing else is thrown', () => {
  test('envelopes as text, by every kind of lane', () => {
    const lanes = fc.constantFrom(pushLane('q', true), pushLane('q', false), callLane('q', 3, true))
    const envelopes = fc.oneof(rubbish, almost('v', 'kind', 'level', 'chain', 'deadline', 'replyTo', 'callId', 'claim'))
    fc.assert(
      fc.property(envelopes, lanes, (text, lane) => {
        const found = findEnvelope({ strata: text })
        expect(typeof isNewer(found)).toBe('boolean')
        try {
          readEnvelope(found, lane)
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENVELOPE_INVALID', outcome: 'not-applied' })
        }
        unpolluted()
      }),
    )
  })

  test('replies and records', () => {
    fc.assert(
      fc.property(fc.oneof(rubbish, almost('v', 'ok', 'value', 'error')), text => {
        const reply = readReply(text)
        expect(reply === undefined || reply.v === 1).toBe(true)
        expect(readRecordedEnd(true, ['1', text, null, null])).toMatchObject({ ok: true })
        expect(readRecordedEnd(true, ['1', null, 'why', text])).toMatchObject({ ok: false })
        unpolluted()
      }),
    )
  })

  test('entries of processes: live ones serve whole numbers of slots, for no longer than a lease can be', () => {
    const entry = fc
      .record({ untilMs: fc.oneof(json, fc.nat(200_000)), lanes: json })
      .map(value => JSON.stringify(value))
    fc.assert(
      fc.property(fc.oneof(rubbish, entry), text => {
        const lanes = readEntry(text, 100_000)
        for (const slots of Object.values(lanes ?? {})) expect(Number.isSafeInteger(slots) && slots > 0).toBe(true)
        unpolluted()
      }),
    )
    expect(readEntry('{"untilMs":1e15,"lanes":{"q":1}}', 100_000)).toBeUndefined()
    expect(readEntry('{"untilMs":110000,"lanes":{"q":1,"r":-1,"s":"2"}}', 100_000)).toEqual({ q: 1 })
  })

  test('messages about calls that were given up', () => {
    fc.assert(
      fc.property(fc.array(rubbish, { maxLength: 4 }), fields => {
        const callId = readGivenUp('1-0', fields)?.callId
        if (callId !== undefined) expect(fields).toEqual(['c', callId, ...fields.slice(2)])
      }),
    )
    expect(readGivenUp('1-0', ['c', 'x'.repeat(10_000)])).toBeUndefined()
  })

  test('names of lanes: what is taken for one is written the same again', () => {
    const names = fc.oneof(
      rubbish,
      fc.tuple(fc.string(), rubbish).map(parts => parts.join('~')),
    )
    fc.assert(
      fc.property(names, name => {
        const lane = parseCallLane(name)
        if (lane) expect(callLane(lane.queue, lane.level, true)).toEqual(lane)
      }),
    )
  })
})
