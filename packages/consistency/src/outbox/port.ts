/** A job as it waits in the outbox: everything that is needed to send it, in any process, at any later time. */
export interface OutboxMessage {
  /** The id of the job, by which the queue knows it from a second publication for as long as it keeps the job. */
  readonly id: string
  readonly job: string
  readonly queue: string
  readonly level: number
  /** As JSON text, exactly as it travels. */
  readonly data: string
  /** The queue's own options of the job, as JSON text. */
  readonly options: string
  /** Messages of one key are published in the order in which their transactions committed. */
  readonly key?: string
  /** Published only once the job before it of the same key has ended. */
  readonly ordered?: boolean
}

/** What sends messages: the queue hands itself to the outbox as one. */
export interface Publisher {
  /**
   * Sends messages and tells of each why it was not sent, in the same order: one that is not transient never will be. Sending one
   * again is harmless while the queue keeps its job. Ends within some 10 s.
   */
  publish(messages: readonly OutboxMessage[]): Promise<readonly (Error | undefined)[]>
  /** Tells of each whether its job has ended, completed or failed for good, or is not there any more. */
  ended(messages: readonly Pick<OutboxMessage, 'id' | 'queue'>[]): Promise<readonly boolean[]>
}
