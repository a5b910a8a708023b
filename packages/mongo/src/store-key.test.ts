import { describe, expect, it } from 'vitest'
import { databaseOf, storeKey } from './store-key.ts'

describe('the key of a store', () => {
  it.each([
    ['database and application name', 'mongodb://h/?replicaSet=a', 'mongodb://h/x?replicaSet=a&appName=y'],
    ['order of hosts and options', 'mongodb://a,b/?w=1&ssl=true', 'mongodb://B:27017,A:27017/?ssl=true&w=1'],
    [
      'a database that no user is looked up in',
      'mongodb://u:p@h/x?authSource=admin',
      'mongodb://u:p@h/?authSource=admin',
    ],
  ])('does not depend on %s', (_, one, other) => {
    expect(storeKey(one)).toBe(storeKey(other))
  })

  it.each([
    ['hosts', 'mongodb://a/', 'mongodb://b/'],
    ['aliases of a host', 'mongodb://localhost/', 'mongodb://127.0.0.1/'],
    ['users', 'mongodb://u:p@a/', 'mongodb://v:p@a/'],
    ['where a user is looked up', 'mongodb://u:p@a/x', 'mongodb://u:p@a/y'],
    ['options', 'mongodb://a/?replicaSet=a', 'mongodb://a/?loadBalanced=true'],
  ])('differs between %s', (_, one, other) => {
    expect(storeKey(one)).not.toBe(storeKey(other))
  })

  it('holds no part of a password', () => {
    expect(storeKey('mongodb://u:secret@h/')).toMatch(/^[0-9a-f]{64}$/)
  })
})

it('reads the database of a URL', () => {
  expect(databaseOf('mongodb://h/my%20data?x=1')).toBe('my data')
  expect(databaseOf('mongodb://h/?x=1')).toBeUndefined()
})
