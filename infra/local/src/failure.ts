import { EndedEarly } from './app-process.ts'

const SETTING_CODES = ['SETTING_INVALID', 'SERVERS_RUNG_UNKNOWN', 'SERVERS_URL_INVALID']

/** How a local start that failed ends: its exit code, and what to say unless that has been said. */
export interface Failure {
  readonly code: 1 | 2
  readonly line: string | undefined
}

/** A wrong setting is 2, everything else 1. */
export function failureOf(error: unknown, { dataDir }: { readonly dataDir: string }): Failure {
  // An app that refuses a setting has said so itself, in one line.
  if (error instanceof EndedEarly && error.end.code === 2) return { code: 2, line: undefined }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const text = error instanceof Error ? error.message : String(error)
  if (SETTING_CODES.includes(code)) return { code: 2, line: `${code}: ${text}` }
  const folder = code.startsWith('SERVERS_DATA_FOLDER') ? ` (STRATA_DATA names the folder, now ${dataDir})` : ''
  return { code: 1, line: `${text}${folder}` }
}
