import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FakeDatasource } from './conformance/fake-datasource.ts'
import { createDbContext } from './db-context.ts'
import { hasCode } from './error.ts'
import { readHeader, writeHeader } from './header.ts'

const text = fc.string({ maxLength: 128, unit: 'binary' })
const documents = fc.record({
  collection: text,
  ids: fc.array(fc.string({ maxLength: 20 }), { maxLength: 4 }),
  isComplete: fc.boolean(),
})
const link = fc.record(
  {
    kind: fc.constantFrom('run' as const, 'job' as const),
    name: text,
    id: text,
    level: fc.nat(64),
    writes: fc.array(fc.record({ transaction: text, level: fc.nat(64), collections: fc.tuple(documents) }), {
      maxLength: 2,
    }),
    locks: fc.array(fc.stringMatching(/^[\w-]{16}$/), { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: ['kind', 'name', 'id', 'level'] },
)

test('what is written is read again, and is a header', () => {
  const carried = fc.record(
    { level: fc.integer({ min: 1, max: 64 }), chain: fc.tuple(link, link), deadlineMs: fc.nat(86_400_000) },
    { requiredKeys: ['level', 'chain'] },
  )
  fc.assert(
    fc.property(carried, written => {
      const header = writeHeader(written)
      expect(header).toMatch(/^[\w.-]{1,8192}$/)
      const without = (...names: string[]) => ({
        ...written,
        chain: written.chain.map(each =>
          Object.fromEntries(Object.entries(each).filter(([name]) => !names.includes(name))),
        ),
      })
      // An older reader takes nothing but a list for what was written: with locks an empty one stands for none.
      const whole = {
        ...written,
        chain: written.chain.map(each => (each.locks && !each.writes?.length ? { ...each, writes: undefined } : each)),
      }
      expect([whole, without('writes'), without('writes', 'locks')]).toContainEqual(readHeader(header))
    }),
  )
})

test('a long chain keeps its root and its end, and the header its bound', () => {
  const chain = Array.from({ length: 200 }, (_, n) => ({
    kind: 'job' as const,
    name: 'é'.repeat(500),
    id: `${n}`,
    level: n,
  }))
  const [root, ...others] = chain
  if (!root) throw new Error('no chain')
  const read = readHeader(writeHeader({ level: 1, chain: [root, ...others] }))
  expect(read.chain.map(({ id }) => Number(id))).toEqual([0, ...Array.from({ length: 15 }, (_, n) => 185 + n)])
})

test('anything else is refused with a code, and nothing else is thrown', () => {
  const wrap = (value: unknown) => `1.${Buffer.from(JSON.stringify(value) ?? '').toString('base64url')}`
  const almost = fc.record(
    { l: fc.oneof(fc.jsonValue(), fc.constant(1)), c: fc.jsonValue(), d: fc.jsonValue() },
    { requiredKeys: [] },
  )
  const headers = fc.oneof(
    fc.string(),
    fc.string().map(part => `1.${part}`),
    fc.jsonValue().map(wrap),
    almost.map(wrap),
    fc.constant(`1.${'A'.repeat(100_000)}`),
    fc.constant(wrap(JSON.parse('{"l":1,"c":[["run","a","b",0]],"__proto__":{"l":9},"d":-1}'))),
  )
  fc.assert(
    fc.property(headers, header => {
      try {
        readHeader(header)
      } catch (error) {
        expect(hasCode(error, 'HEADER_INVALID')).toBe(true)
      }
    }),
  )
})

test('a service that is called over HTTP begins one level deeper, in the chain and time of its caller', async () => {
  const caller = createDbContext({ datasources: [new FakeDatasource()] })
  const called = createDbContext({ datasources: [new FakeDatasource()], levels: { max: 2 } })
  const serve = (header: string) =>
    called.run(async () => ({ ...called.current, next: called.propagator.inject() }), { name: 'GET /b', header })
  await caller.run(
    async () => {
      const first = await serve(caller.propagator.inject())
      expect(first).toMatchObject({
        level: 1,
        chain: [
          { name: 'GET /a', level: 0 },
          { name: 'GET /b', level: 1 },
        ],
      })
      expect(called.propagator.extract(first.next).deadlineMs).toBeLessThanOrEqual(5000)
      const deep = await caller.switchDb(async () => caller.propagator.inject(), { level: 2 })
      await expect(serve(deep)).rejects.toMatchObject({ code: 'LEVEL_LIMIT', outcome: 'not-applied' })
      await expect(serve('1.x')).rejects.toMatchObject({ code: 'HEADER_INVALID', outcome: 'not-applied' })
    },
    { name: 'GET /a', deadlineMs: 5000 },
  )
  expect(() => caller.propagator.inject()).toThrow(expect.objectContaining({ code: 'CONTEXT_MISSING' }))
  await Promise.all([caller.stop(), called.stop()])
})
