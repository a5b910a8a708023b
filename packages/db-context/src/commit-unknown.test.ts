import { expect, it, vi } from 'vitest'
import { FakeTransaction } from './conformance/fake-datasource.ts'
import { FakeDatasource } from './conformance/index.ts'
import { createDbContext } from './db-context.ts'
import { dbContextError } from './registry.ts'

/** What a run with two pushes and both hooks does when its commit ends like this. */
async function run(commit: () => Promise<void>) {
  const done: string[] = []
  const db = createDbContext({ datasources: [new FakeDatasource()] })
  const committing = vi.spyOn(FakeTransaction.prototype, 'commit').mockImplementation(commit)
  const error = await db
    .run(() =>
      db.transaction.begin(async () => {
        db.transaction.afterCommit(() => done.push('committed'))
        db.transaction.afterRollback(() => done.push('rolled back'))
        for (const id of ['1', '2']) {
          db.propagator.push().defer?.({ job: 'mail', id, publish: async () => void done.push(`pushed ${id}`) })
        }
      }),
    )
    .catch(thrown => thrown)
  committing.mockRestore()
  return { error, done }
}

it('a commit in doubt runs no hook and sends no push, and its error names the pushes', async () => {
  const { error, done } = await run(() =>
    Promise.reject(dbContextError('COMMIT_UNKNOWN', 'Commit was not answered', { details: { transaction: 't' } })),
  )
  expect(done).toEqual([])
  expect(error).toMatchObject({
    code: 'COMMIT_UNKNOWN',
    outcome: 'unknown',
    message: 'Commit was not answered. If it was applied, push what was not pushed: mail (1), mail (2)',
    details: {
      transaction: 't',
      unpushed: [
        { job: 'mail', id: '1' },
        { job: 'mail', id: '2' },
      ],
    },
  })
})

it('a commit that is answered sends them, one that is refused does not', async () => {
  expect(await run(async () => {})).toEqual({ error: undefined, done: ['committed', 'pushed 1', 'pushed 2'] })
  const refusal = new Error('refused')
  expect(await run(() => Promise.reject(refusal))).toEqual({ error: refusal, done: ['rolled back'] })
})
