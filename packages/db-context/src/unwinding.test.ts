import { describe, expect, it } from 'vitest'
import { holdX } from '../test/held-document.ts'
import { FakeDatasource } from './conformance/index.ts'
import { createDbContext } from './db-context.ts'

const lockWaitMs = 200

function make() {
  const fake = new FakeDatasource({ pool: { max: 2 } })
  const db = createDbContext({ datasources: [fake], lockWaitMs })
  return { db, fake }
}

/** Two that have each written their own document, and then write the other's in a transaction of their own, one level deeper. */
async function cross({ db, fake }: ReturnType<typeof make>, retries: number) {
  const both = Promise.withResolvers<void>()
  let written = 0
  const one = (mine: string, theirs: string) =>
    db.run(() =>
      db.transaction.begin(
        async () => {
          await fake.add(mine)
          written += 1
          if (written === 2) both.resolve()
          await both.promise
          await db.transaction.begin(() => fake.add(theirs), { propagation: 'requires-new' })
        },
        { retries },
      ),
    )
  const ends = await Promise.allSettled([one('x', 'y'), one('y', 'x')])
  const counts = await db.run(async () => [await fake.read('x'), await fake.read('y')])
  return { ends, counts }
}

describe('two transactions whose deeper parts each wait for what the other has written', () => {
  it('both end well, because one that is held up gives way and is run again', async () => {
    const { ends, counts } = await cross(make(), 50)
    expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled'])
    expect(counts).toEqual([2, 2])
  })

  it('without that, at least one of them ends in LOCK_TIMEOUT', async () => {
    const { ends } = await cross(make(), 0)
    const lost = ends.filter(({ status }) => status === 'rejected')
    expect(lost.length).toBeGreaterThan(0)
    for (const end of lost) {
      expect(end).toMatchObject({ reason: { code: 'LOCK_TIMEOUT', outcome: 'not-applied' } })
    }
  })
})

describe('a transaction whose deeper part was held up', () => {
  /** Runs it while a stranger holds `x`, which is freed in the body of this number. */
  async function heldUp(
    made: ReturnType<typeof make>,
    { freedIn, around = async () => {} }: { freedIn: number; around?: () => Promise<unknown> },
  ) {
    const free = await holdX(made, 2)
    const { db, fake } = made
    let bodies = 0
    const begun = db.run(() =>
      db.transaction.begin(async () => {
        bodies += 1
        if (bodies === freedIn) await free()
        await around()
        await db.switchDbIsolate(() => db.transaction.begin(() => fake.add('x'), { name: 'inner' }))
      }),
    )
    const error = await begun.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    await free()
    return { bodies, error }
  }

  it('is run again, and succeeds once the document is free', async () => {
    expect(await heldUp(make(), { freedIn: 2 })).toEqual({ bodies: 2, error: undefined })
  })

  it('is given up after `retries`, with the error of that part', async () => {
    const { bodies, error } = await heldUp(make(), { freedIn: Number.POSITIVE_INFINITY })
    expect(bodies).toBe(4)
    expect(error).toMatchObject({ code: 'LOCK_TIMEOUT', outcome: 'not-applied', transient: true })
  })

  it('is not run again once another part has committed', async () => {
    const made = make()
    const audit = () => made.db.transaction.begin(() => made.fake.add('audit'), { propagation: 'requires-new' })
    const { bodies, error } = await heldUp(made, { freedIn: 2, around: audit })
    expect(bodies).toBe(1)
    expect(error).toMatchObject({ code: 'RETRY_UNSAFE', outcome: 'unknown', cause: { code: 'LOCK_TIMEOUT' } })
  })
})
