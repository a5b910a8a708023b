import { type ErrorSpec, errorFactory } from '@strata/db-context'

const refused = { outcome: 'not-applied', transient: false } as const
const later = { outcome: 'not-applied', transient: true } as const

/** Every error that `mongo` adds to those of `db-context`; `docs/reference/errors.md` is kept equal to it by a test. */
export const mongoErrors = {
  BUDGET_UNREADABLE: {
    ...refused,
    when: 'The server does not tell this user its connection limit, and `connectionsMax` is not given',
  },
  CONNECTION_BUDGET: {
    ...refused,
    when: 'The server cannot hold the connections of this process, and of those declared with it, beside those of the registered ones',
  },
  DEFINITION_BLOCKED: {
    ...later,
    when: 'Open transactions kept the definition of a collection or an index from getting through within `definitionTimeoutMs`',
  },
  DEFINITION_REFUSED: {
    ...refused,
    when: 'A collection or an index was to be defined inside a transaction, or in work that other work awaits',
  },
  DOCUMENT_TOO_LARGE: {
    ...refused,
    when: 'A document, or a command with it, is larger than the 16 MiB that MongoDB takes',
  },
  OPERATION_TIMEOUT: {
    outcome: 'unknown',
    transient: false,
    when: 'The server did not finish an operation within `operationTimeoutMs`',
  },
  SERVER_UNREACHABLE: { ...later, when: 'No server of the URL that can take the operation answered in time' },
  SERVICE_ONLY: {
    ...refused,
    when: 'What only the service door does was asked of a level, or what no bound collection or cursor does at all',
  },
  SESSION_REFUSED: { ...refused, when: 'An operation was given a `session`; the level it is called at decides that' },
  STREAM_LIMIT: { ...later, when: 'More change streams than `streamsMax` were to be open at once' },
  TOPOLOGY_UNSUPPORTED: { ...refused, when: 'The server is a standalone, which has no transactions' },
  TRANSACTION_TOO_LARGE: { ...refused, when: 'A transaction has written more than the server can keep for it' },
  WRITE_UNCONFIRMED: {
    outcome: 'applied',
    transient: false,
    when: 'A write was applied, and a majority did not confirm within its time that it lasts',
  },
} as const satisfies Record<string, ErrorSpec>

export type MongoErrorCode = keyof typeof mongoErrors

export const mongoError = errorFactory(mongoErrors)
