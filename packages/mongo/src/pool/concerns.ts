import { dbContextError, type TransactionConcerns } from '@strata/db-context'
import type { ReadConcernLike, WriteConcernSettings } from 'mongodb'

const readLevels: readonly unknown[] = ['local', 'majority', 'snapshot']

/** What a transaction is started with: one snapshot and a majority, unless it was begun with something else. @throws CONFIG */
export function readConcerns({ readConcern = 'snapshot', writeConcern = {} }: TransactionConcerns = {}): {
  readonly readConcern: ReadConcernLike
  readonly writeConcern: WriteConcernSettings
} {
  const { w = 'majority', journal, ...unknown } = writeConcern
  if (!readLevels.includes(readConcern)) throw config('readConcern', readConcern, `one of ${readLevels.join(', ')}`)
  // Without a confirmation nobody could say that it was committed.
  const isCount = typeof w === 'number' && Number.isInteger(w) && w >= 1
  if (!isCount && w !== 'majority') throw config('writeConcern.w', w, "'majority' or a whole number from 1")
  if (journal !== undefined && typeof journal !== 'boolean')
    throw config('writeConcern.journal', journal, 'true or false')
  const [other] = Object.keys(unknown)
  if (other !== undefined)
    throw config('writeConcern', other, 'only w and journal: its time limit is writeConcernTimeoutMs')
  return { readConcern: { level: readConcern }, writeConcern: { w, ...(journal === undefined ? {} : { journal }) } }
}

function config(option: string, got: unknown, expected: string) {
  return dbContextError('CONFIG', `Option ${option} is ${String(got)}, expected ${expected}`, {
    details: { option, got, expected },
  })
}
