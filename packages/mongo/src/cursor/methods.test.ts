import { AbstractCursor, AggregationCursor, FindCursor, ListIndexesCursor, MongoClient } from 'mongodb'
import { expect, it } from 'vitest'
import { Cursor } from './cursor.ts'
import { cursorMethods } from './methods.ts'

// The driver does not export this class.
const searchCursor = new MongoClient('mongodb://127.0.0.1').db().collection('any').listSearchIndexes()

const prototypes = [
  AbstractCursor.prototype,
  Object.getPrototypeOf(FindCursor.prototype),
  FindCursor.prototype,
  AggregationCursor.prototype,
  ListIndexesCursor.prototype,
  Object.getPrototypeOf(searchCursor),
]

it('says of every member of the cursors of the installed driver what it is', () => {
  const members = new Set(prototypes.flatMap(prototype => Object.getOwnPropertyNames(prototype)))
  members.delete('constructor')
  // A field of an aggregation cursor, not a member of its prototype.
  members.add('pipeline')
  expect(Object.keys(cursorMethods).sort()).toEqual([...members].sort())
})

it('has every member that is not internal, and no internal one', () => {
  for (const [name, member] of Object.entries(cursorMethods)) {
    expect([name, name in Cursor.prototype]).toEqual([name, member !== 'internal'])
  }
})
