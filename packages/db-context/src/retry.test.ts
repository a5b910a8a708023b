import { expect, it } from 'vitest'
import { RetryBudget } from './retry.ts'

const conflict = { transient: true, conflict: true, endsTransaction: true }
const refusal = (lack?: string) => {
  const kind = lack === undefined ? conflict : { ...conflict, lack }
  return new RetryBudget({ retriesMax: 3, lockWaitMs: 0, wait: { spentMs: 0 } }).next(
    'cause',
    kind,
    new AbortController().signal,
  )
}

it('says whether other work held a document or took what the server has too few of', async () => {
  await expect(refusal()).rejects.toMatchObject({
    code: 'LOCK_TIMEOUT',
    message: 'Other work held a document for longer than lockWaitMs (0 ms, 1 conflicts)',
    details: { lockWaitMs: 0, conflicts: 1 },
  })
  await expect(refusal('write tickets')).rejects.toMatchObject({
    code: 'LOCK_TIMEOUT',
    outcome: 'not-applied',
    message: 'Other work took all write tickets of the server for longer than lockWaitMs (0 ms, 1 conflicts)',
    details: { lockWaitMs: 0, conflicts: 1, lack: 'write tickets' },
    cause: 'cause',
  })
})
