import { createHash } from 'node:crypto'
import { ConnectionString } from 'mongodb-connection-string-url'

const portDefault = '27017'

/**
 * The identity of the store that a URL names: equal for two URLs of the same hosts and user, whatever database or
 * application name they carry. Hashed, because a key ends up in maps and dumps and the URL holds a password.
 */
export function storeKey(url: string): string {
  const parsed = new ConnectionString(url)
  const options = [...parsed.searchParams]
    .filter(([name]) => !isNaming(name))
    .map(([name, value]) => `${name}=${value}`)
  // The path is also where a user is looked up when no authSource says otherwise.
  if (parsed.username && !parsed.searchParams.has('authSource'))
    options.push(`authSource=${databaseOf(url) ?? 'admin'}`)
  const identity = [
    parsed.protocol,
    parsed.username,
    parsed.password,
    parsed.hosts.map(host => normalHost(host, parsed.isSRV)).sort(),
    options.sort(),
  ]
  return createHash('sha256').update(JSON.stringify(identity)).digest('hex')
}

/** The database that the URL's path names. */
export function databaseOf(url: string): string | undefined {
  return decodeURIComponent(new ConnectionString(url).pathname.slice(1)) || undefined
}

const isNaming = (option: string) => option.toLowerCase() === 'appname'

function normalHost(host: string, isSrv: boolean): string {
  const lower = host.toLowerCase()
  return isSrv || /:\d+$/.test(lower) ? lower : `${lower}:${portDefault}`
}
