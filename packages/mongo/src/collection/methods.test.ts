import { Collection, type Document } from 'mongodb'
import { expect, expectTypeOf, it } from 'vitest'
import type { ServiceCollection } from '../service/service-collection.ts'
import type { BoundCollection, BoundStatements } from './bound-collection.ts'
import { collectionMethods, type MethodName } from './methods.ts'

it('says of every member of the installed driver what it is', () => {
  const members = Object.getOwnPropertyNames(Collection.prototype).filter(name => name !== 'constructor')
  expect(Object.keys(collectionMethods).sort()).toEqual(members.sort())
})

interface Pet {
  _id: number
  name: string
}

type Reachable = {
  [Name in MethodName]: (typeof collectionMethods)[Name]['kind'] extends
    | 'definition'
    | 'service'
    | 'stream'
    | 'refused'
    | 'internal'
    ? never
    : Name
}[MethodName]

it('has a type for every member that is reachable, and no other', () => {
  expectTypeOf<keyof BoundCollection<Pet>>().toEqualTypeOf<Reachable>()
})

it('has the definition of indexes and collections, and change streams, at the service door only', () => {
  type Service = {
    [Name in MethodName]: (typeof collectionMethods)[Name]['kind'] extends 'definition' | 'service' | 'stream'
      ? Name
      : never
  }
  expectTypeOf<keyof ServiceCollection<Pet>>().toEqualTypeOf<Reachable | Service[MethodName]>()
})

it("types statements as the driver's own", () => {
  // Where the driver's signature changes, its collection no longer fits ours.
  expectTypeOf<Collection<Pet>>().toExtend<BoundStatements<Pet>>()
  expectTypeOf<Collection<Document>>().toExtend<BoundStatements<Document>>()
})

it('takes no session in any options', () => {
  type Options<Name extends 'insertOne' | 'deleteMany' | 'countDocuments' | 'find' | 'aggregate'> = NonNullable<
    Parameters<BoundCollection<Pet>[Name]>[1]
  >
  expectTypeOf<Options<'insertOne'>['session']>().toEqualTypeOf<undefined>()
  expectTypeOf<Options<'deleteMany'>['session']>().toEqualTypeOf<undefined>()
  expectTypeOf<Options<'countDocuments'>['session']>().toEqualTypeOf<undefined>()
  expectTypeOf<Options<'find'>['session']>().toEqualTypeOf<undefined>()
  expectTypeOf<Options<'aggregate'>['session']>().toEqualTypeOf<undefined>()
})
