import * as v from 'valibot'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from './job-definition.ts'
import { checkOutgoing, printIssues, read } from './schema.ts'

const price = { path: '$.items[1].price' }

test('issues of any Standard Schema carry the path', async () => {
  const value = { items: [{ price: 1 }, { price: 'x' }] }
  const byZod = z.object({ items: z.array(z.object({ price: z.number() })) })
  const byValibot = v.object({ items: v.array(v.object({ price: v.number() })) })
  for (const schema of [byZod, byValibot]) {
    expect(await checkOutgoing(schema, value)).toMatchObject([price])
    expect(printIssues(await checkOutgoing(schema, value))).toMatch(/^\$\.items\[1\]\.price: /)
  }
})

test('a check changes nothing, a read gives the output of the schema', async () => {
  const schema = z.object({ n: z.string().transform(Number) })
  const value = { n: '7' }
  expect(await checkOutgoing(schema, value)).toEqual([])
  expect(value).toEqual({ n: '7' })
  expect(await read(schema, value)).toEqual({ value: { n: 7 } })
})

test('an asynchronous schema is waited for', async () => {
  const schema = z.string().refine(async text => text.length > 2, 'too short')
  expect(await checkOutgoing(schema, 'ab')).toMatchObject([{ path: '$', message: 'too short' }])
})

test('what the schema lets through but JSON would change is an issue', async () => {
  expect(await checkOutgoing(z.any(), { at: new Date() })).toEqual([
    { path: '$.at', message: 'Is a Date, expected a JSON value' },
  ])
})

test('what a schema throws is an issue, not an error of its own', async () => {
  const fail = (): string => {
    throw new SyntaxError('Cannot convert no to a BigInt')
  }
  const issues = [{ path: '$', message: 'Schema threw Cannot convert no to a BigInt' }]
  const later = v.pipeAsync(
    v.string(),
    v.transformAsync(async () => fail()),
  )
  expect(await read(z.string().transform(fail), 'no')).toEqual({ issues })
  expect(await read(later, 'no')).toEqual({ issues })
})

test('a job that cannot work is refused where it is declared', () => {
  const schemas = { input: z.object({}), output: z.void() }
  expect(defineJob({ name: 'a.b', ...schemas })).toMatchObject({ name: 'a.b', queue: 'a.b' })
  const wrong = [
    { name: '' },
    { name: 'a', queue: 'a:b' },
    { name: 'a~1' },
    { name: 'a', attempts: 0 },
    { name: 'a', attempts: 1.5 },
    { name: 'a', backoff: { type: 'own' } },
    { name: 'a', deadlineMs: 0 },
    { name: 'a', deadlineMs: Number.POSITIVE_INFINITY },
  ]
  for (const options of wrong) {
    expect(() => defineJob({ ...options, ...schemas })).toThrow(expect.objectContaining({ code: 'CONFIG' }))
  }
})
