import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { MongoClient } from 'mongodb'
import { expect, inject, it } from 'vitest'
import { example } from './example.ts'

it('the README shows what runs', async () => {
  const source = await readFile(new URL('example.ts', import.meta.url), 'utf8')
  const body = source.split('// begin\n')[1]?.split('  // end\n')[0]?.replaceAll(/^ {2}/gm, '')
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8')
  expect(readme).toContain(body)
})

it('the example of the README does what it says', async () => {
  const database = `mongo-readme-${randomUUID().slice(0, 8)}`
  expect(await example(inject('mongoUrl'), database)).toEqual({ _id: 'ada', name: 'Ada' })
  const plain = await new MongoClient(inject('mongoUrl')).connect()
  await plain.db(database).dropDatabase()
  await plain.close()
})
