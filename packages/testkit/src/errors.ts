/** What can go wrong while servers are brought up, or while a test waits. Callers branch on these, never on messages. */
export type TestkitErrorCode =
  | 'SERVERS_UNAVAILABLE'
  | 'SERVERS_RUNG_UNKNOWN'
  | 'SERVERS_RUNG_FAILED'
  | 'SERVERS_URL_INVALID'
  | 'SERVERS_URL_UNREACHABLE'
  | 'SERVERS_URL_UNSUITABLE'
  | 'SERVERS_DATA_FOLDER'
  | 'SERVERS_DATA_FOLDER_BUSY'
  | 'WAIT_TIMEOUT'
  | 'PROCESS_FAILED'
  | 'SEED_INVALID'

/** The one error class of testkit. It stands apart from the product's, since testkit depends on none of its packages. */
export class TestkitError extends Error {
  readonly code: TestkitErrorCode
  readonly details: Readonly<Record<string, unknown>>

  constructor(
    code: TestkitErrorCode,
    message: string,
    options: { details?: Record<string, unknown>; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'TestkitError'
    this.code = code
    this.details = options.details ?? {}
  }
}

/** The first line of an error's message: enough for a list of reasons, without anybody's stack. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error)
  return text.split('\n')[0] ?? text
}
