import { describe } from 'vitest'
import { conforms } from '../../test/two-phase-commit/conformance/conforms.ts'
import { Memory, MemoryStore } from '../../test/two-phase-commit/memory-store.ts'

describe('the store in memory', () => {
  conforms(async () => {
    const memory = new Memory()
    const begun = performance.now()
    const store = new MemoryStore(memory, async (_, run) => {
      memory.nowMs = Math.max(memory.nowMs, start + (performance.now() - begun))
      return run()
    })
    const start = memory.nowMs
    const later = async (ms: number) => {
      memory.nowMs += ms
    }
    return { store, datasource: { key: 'memory' } as never, later }
  })
})
