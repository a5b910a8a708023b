import type { TransactionRecord } from './record.ts'

/** The right to work on a transaction, as its record had it when it was granted or renewed. */
export interface Claim {
  readonly owner: string
  readonly token: number
}

export const isHeldBy = ({ owner, token }: TransactionRecord, claim: Claim): boolean =>
  owner === claim.owner && token === claim.token

/** The claim that a record was just given. */
export const claimOf = ({ owner = '', token }: TransactionRecord): Claim => ({ owner, token })
