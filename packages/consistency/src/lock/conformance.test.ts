import { test } from 'vitest'
import { lockStoreCases } from './conformance.ts'
import { MemoryLockStore } from './memory-store.ts'

test.each(Object.entries(lockStoreCases))('locks in memory: %s', async (_, run) => {
  const store = new MemoryLockStore()
  await run({ store, advance: async ms => store.advance(ms), drop: async () => store.drop() })
})
