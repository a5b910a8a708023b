import type { FakeDatasource } from '../src/conformance/index.ts'
import type { DbContext } from '../src/db-context.ts'

/** A stranger's transaction at this level writes `x`, and holds it until the result is called. */
export async function holdX(
  { db, fake }: { readonly db: DbContext; readonly fake: FakeDatasource },
  level = 1,
): Promise<() => Promise<void>> {
  const written = Promise.withResolvers<void>()
  const gate = Promise.withResolvers<void>()
  const body = async () => {
    await fake.add('x')
    written.resolve()
    await gate.promise
  }
  const done = db.run(() => db.switchDb(() => db.transaction.begin(body), { level }))
  await written.promise
  return async () => {
    gate.resolve()
    await done
  }
}
