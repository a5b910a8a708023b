import { TestkitError } from '../errors.ts'
import { withoutPassword } from './password.ts'
import type { RungName, ServerKind } from './server-kind.ts'

/**
 * Checks the words that the environment says about one server, without asking anybody for it.
 * @returns the forced rung, if one is.
 * @throws SERVERS_RUNG_UNKNOWN, SERVERS_URL_INVALID
 */
export function checkVariables(kind: ServerKind, env: NodeJS.ProcessEnv): RungName | undefined {
  const forced = readForced(kind, env)
  const url = env[kind.urlVariable]
  const fault = url ? kind.faultOfUrl(url) : undefined
  if (url === undefined || fault === undefined) return forced
  const shown = JSON.stringify(withoutPassword(url))
  const text = `${kind.urlVariable} is ${shown}, which cannot be read: ${fault}; correct it, or unset it to have a server brought up`
  throw new TestkitError('SERVERS_URL_INVALID', text, { details: { variable: kind.urlVariable } })
}

function readForced(kind: ServerKind, env: NodeJS.ProcessEnv): RungName | undefined {
  const wanted = env[kind.rungVariable]
  if (wanted === undefined || wanted === '') return undefined
  const rung = kind.rungs.find(name => name === wanted)
  if (rung !== undefined) return rung
  const text = `${kind.rungVariable} is "${wanted}"; allowed are ${kind.rungs.join(', ')}`
  throw new TestkitError('SERVERS_RUNG_UNKNOWN', text, { details: { got: wanted, allowed: kind.rungs } })
}
