import type { Participant } from './participant.ts'

export type Plain = Readonly<Record<string, unknown>>

/** One collection, as far as the protocol needs it. Writes are applied to one document, and last once they are answered. */
export interface Documents {
  /** @returns false where the `_id` is taken */
  insert(document: Plain): Promise<boolean>
  /** @returns whether a document has matched */
  update(filter: Plain, update: Plain | readonly Plain[], options?: UpdateOptions): Promise<boolean>
  /** Updates by a pipeline. @returns the document as it is afterwards, or null where none has matched */
  change(filter: Plain, pipeline: readonly Plain[]): Promise<Plain | null>
  /** Sees every write that was answered before. */
  aggregate(pipeline: readonly Plain[]): Promise<Plain[]>
}

export interface UpdateOptions {
  readonly timeoutMs?: number
  /** Once it is answered nothing of it can come late: it is not sent again behind the caller's back, where a connection breaks. */
  readonly isSentOnce?: boolean
}

/** Reads of one moment. */
export interface Moment {
  readonly records: Pick<Documents, 'aggregate'>
  participant(of: Participant): Pick<Documents, 'aggregate'>
}

/** Where transactions are. The conformance suite says what an implementation has to satisfy; one is on MongoDB, one in memory. */
export interface Store {
  readonly records: Documents
  participant(of: Participant): Documents
  /** The same for two participants whose documents are the same ones. */
  placeOf(of: Participant): string
  /** True for an error that says that the server refuses an update for what it is: it would again. */
  isRefusal(error: unknown): boolean
  /** True where both are read at one moment by `moment`. */
  isOneCluster(of: Participant): boolean
  moment<T>(read: (moment: Moment) => Promise<T>): Promise<T>
}
