import { createHash } from 'node:crypto'

const charactersMax = 1024

/** Beyond it an id is a hash: the server's index keeps every one of them, and an error shows it. */
const readableMax = 200

/** True for what a row may be named by. */
export const isName = (name: unknown): name is string =>
  typeof name === 'string' && name.length > 0 && name.length <= charactersMax && name.isWellFormed()

/** One `_id` for each pair, readable where it is short: a space parts the two, and there is none in a hash. */
export function rowId(scope: string, key: string): string {
  const readable = `${spaceless(scope)} ${spaceless(key)}`
  return readable.length <= readableMax ? readable : createHash('sha256').update(readable).digest('base64url')
}

const spaceless = (name: string) => name.replaceAll('%', '%25').replaceAll(' ', '%20')
