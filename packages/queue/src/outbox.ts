import type { Publisher } from './publisher.ts'

/** A push as it is kept until its transaction has committed, and sent from whichever process. */
export interface OutboxMessage {
  /** Of the job. */
  readonly id: string
  readonly job: string
  readonly queue: string
  readonly level: number
  /** The input as JSON text. */
  readonly data: string
  /** BullMQ's options of the job as JSON text. */
  readonly options: string
  readonly key?: string
  readonly ordered?: boolean
}

/** Keeps pushes in the transactions that make them; `createOutbox` of `@strata/consistency/outbox` makes one. */
export interface Outbox {
  /** Keeps a message with the transaction around the call, or throws. */
  append(message: OutboxMessage): void
  /** Receives, once, what is to publish the messages. */
  connect(publisher: Publisher): void
}
