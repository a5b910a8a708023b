import { describe, expect, it } from 'vitest'
import type { Door } from '../door.ts'
import { type Definition, define } from './definition.ts'

const unconfirmed = () =>
  Object.assign(new Error('operation exceeded time limit'), { name: 'MongoWriteConcernError', code: 50 })

const namespaceExists = () => Object.assign(new Error('exists'), { name: 'MongoServerError', code: 48 })

/** A door to a server that answers these, one a try. */
function doorTo(answers: readonly (() => Error)[], definitionTimeoutMs = 5000) {
  let tries = 0
  const scope = {
    isolated: true,
    lockWaitMs: 2000,
    awaitedBy: () => undefined,
    service: async () => {
      const answer = answers[Math.min(tries, answers.length - 1)]
      tries += 1
      if (answer && tries <= answers.length) throw answer()
      return 'made'
    },
  }
  const door = { scope, settings: { definitionTimeoutMs, operationTimeoutMs: 5000 } } as unknown as Door
  return { door, tries: () => tries }
}

const definition: Definition<string> = { what: 'a.createIndex', userMs: undefined, run: async () => '', done: 'done' }

describe('a definition whose confirmation comes too late for a try', () => {
  it('is made once more, and has its result', async () => {
    const { door, tries } = doorTo([unconfirmed])
    expect(await define(door, definition)).toBe('made')
    expect(tries()).toBe(2)
  })

  it('is done where the next try finds it there', async () => {
    const { door } = doorTo([unconfirmed, namespaceExists])
    expect(await define(door, definition)).toBe('done')
  })

  it('is told as applied when no try is confirmed', async () => {
    const { door } = doorTo([unconfirmed], 100)
    await expect(define(door, definition)).rejects.toMatchObject({ code: 'WRITE_UNCONFIRMED', outcome: 'applied' })
  })
})
