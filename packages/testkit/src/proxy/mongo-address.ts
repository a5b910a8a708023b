import type { HostPort } from './primary.ts'

interface MongoAddress {
  /** `user:password@`, or nothing. */
  readonly credentials: string
  readonly hosts: readonly string[]
  readonly database: string
  readonly options: URLSearchParams
}

// A list of hosts is no URL in the sense of the standard, so `new URL` does not read it.
function parse(url: string): MongoAddress {
  const match = /^mongodb(?:\+srv)?:\/\/([^/@]*@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url)
  if (match === null) throw new Error('Not a MongoDB URL')
  const [, credentials = '', hosts = '', database = '', options = ''] = match
  return { credentials, hosts: hosts.split(','), database, options: new URLSearchParams(options) }
}

function format({ credentials, hosts, database, options }: MongoAddress): string {
  return `mongodb://${credentials}${hosts.join(',')}/${database}?${options}`
}

/** The same URL through a load balancer at `at`. */
export function loadBalancedUrl(url: string, at: HostPort): string {
  const address = parse(url)
  for (const name of ['replicaSet', 'directConnection', 'loadBalanced', 'compressors']) address.options.delete(name)
  address.options.append('loadBalanced', 'true')
  return format({ ...address, hosts: [`${at.host}:${at.port}`] })
}

/**
 * The same URL with `at` for its one host. A replica set's members tell the driver their own addresses, past
 * whatever stands at `at`; therefore such a URL becomes one of a direct connection.
 */
export function throughUrl(url: string, at: HostPort): string {
  const address = parse(url)
  address.options.delete('replicaSet')
  if (address.options.get('loadBalanced') !== 'true') address.options.set('directConnection', 'true')
  return format({ ...address, hosts: [`${at.host}:${at.port}`] })
}
