import { dbContextError } from '@strata/db-context'
import type { MongoDatasource } from '@strata/mongo'

/** A collection whose documents take part in transactions. */
export interface Participant {
  /** Kept in the records: the same for as long as any of them is open. */
  readonly name: string
  /** Any, also of another server than the records'. */
  readonly datasource: MongoDatasource
  readonly collection: string
}

/** The `_id` of a document that takes part. */
export type DocumentId = string | number | { readonly toHexString: () => string }

/** Update operators of MongoDB by name. No pipeline: it could not be put together with the entry that is written beside it. */
export type UpdateOperators = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** What one document has to do with a transaction. */
export interface Part {
  readonly participant: Participant
  readonly id: DocumentId
  /** A filter: the step is made only where the document matches. Nothing by default. */
  readonly guard?: Readonly<Record<string, unknown>>
  /** What is written for the transaction. Numbers under `$inc` are the pending part until it is in force. */
  readonly apply: UpdateOperators
  /** What undoes `apply`: it has to succeed whatever others have written meanwhile. */
  readonly reverse: UpdateOperators
  /** The guard of `reverse` where it is made for `reverse(id)`, after the transaction was done. Nothing by default. */
  readonly reverseGuard?: Readonly<Record<string, unknown>>
}

/** Declares a collection whose documents take part in transactions. @throws CONFIG */
export function defineParticipant(options: Participant): Participant {
  const { name, datasource, collection } = options
  for (const [option, got] of Object.entries({ name, collection })) {
    if (typeof got === 'string' && got.length > 0 && got.length <= 200) continue
    throw dbContextError(
      'CONFIG',
      `Option ${option} of a participant is ${String(got)}, expected 1 to 200 characters`,
      {
        details: { option, got },
      },
    )
  }
  return { name, datasource, collection }
}
