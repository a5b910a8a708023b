import { dbContextError } from '@strata/db-context'
import type { MongoDatasource } from '@strata/mongo'

const namespaceExists = 48
const indexDiffers = 85

/** A year; the server takes no more than 2^31 seconds. */
const windowMsMax = 366 * 86_400_000

/** @throws CONFIG */
export function checkWindowMs(windowMs: number): number {
  if (Number.isInteger(windowMs) && windowMs >= 1000 && windowMs <= windowMsMax) return windowMs
  throw dbContextError('CONFIG', `Option windowMs is ${windowMs}, expected 1,000 to ${windowMsMax} ms`, {
    details: { option: 'windowMs', got: windowMs },
  })
}

/** Creates a collection that is missing. */
export async function ensureCollection({ service }: Pick<MongoDatasource, 'service'>, name: string): Promise<void> {
  await service.createCollection(name).catch(unless(namespaceExists))
}

/**
 * Creates the collection, because one that came into being inside a transaction would make every transaction beside it fail and
 * repeat, and the index by which the server removes its rows. An index of another window is replaced.
 */
export async function ensureExpiry(
  { service }: Pick<MongoDatasource, 'service'>,
  { collection, field, windowMs }: { readonly collection: string; readonly field: string; readonly windowMs: number },
): Promise<void> {
  await ensureCollection({ service }, collection)
  const rows = service.collection(collection)
  const create = () => rows.createIndex({ [field]: 1 }, { expireAfterSeconds: Math.ceil(windowMs / 1000) })
  const differs = await create().then(() => false, unless(indexDiffers))
  if (differs === false) return
  await rows.dropIndex(`${field}_1`)
  await create()
}

const unless =
  (code: number) =>
  (error: unknown): void => {
    if (!(error instanceof Error && 'code' in error && error.code === code)) throw error
  }
