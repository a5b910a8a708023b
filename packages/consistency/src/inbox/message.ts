import { consistencyError } from '../errors.ts'
import { isName, rowId } from '../row-id.ts'

/** What makes two deliveries the same message. */
export interface Message {
  /** Whose messages these are: by default the name of the job. */
  readonly scope: string
  /** 1 to 1,024 characters, the same in each delivery: by default the id of the job. */
  readonly key: string
}

/** @throws INBOX_KEY_INVALID */
export function messageId({ scope, key }: { readonly scope: unknown; readonly key: unknown }): string {
  for (const [name, got] of Object.entries({ scope, key })) {
    if (isName(got)) continue
    const what =
      typeof got === 'string' ? `has ${got.length} characters or is not well-formed` : `is of type ${typeof got}`
    throw consistencyError(
      'INBOX_KEY_INVALID',
      `The ${name} of a message ${what}, expected a text of 1 to 1,024 characters: nothing was done`,
      { details: { [name]: typeof got === 'string' ? got.slice(0, 100) : typeof got } },
    )
  }
  return rowId(String(scope), String(key))
}
