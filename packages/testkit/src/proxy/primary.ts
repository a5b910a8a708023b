import { MongoClient } from 'mongodb'

const DEADLINE_MS = 5000

/** Where something listens. */
export interface HostPort {
  readonly host: string
  readonly port: number
}

/** Knows where a replica set's primary is. */
export interface PrimaryFinder {
  /** The primary's address, looked up once and then remembered. */
  find(): Promise<HostPort>
  /** Makes the next `find` look again. */
  forget(): void
}

/** Looks with a client of its own that is closed again: nothing of ours counts among the server's connections. */
export function primaryFinder(mongoUrl: string): PrimaryFinder {
  let found: Promise<HostPort> | undefined
  const forget = (): void => {
    found = undefined
  }
  const find = (): Promise<HostPort> => {
    if (found !== undefined) return found
    const looking = findPrimary(mongoUrl)
    looking.catch(forget)
    found = looking
    return looking
  }
  return { find, forget }
}

async function findPrimary(mongoUrl: string): Promise<HostPort> {
  const client = new MongoClient(mongoUrl, { serverSelectionTimeoutMS: DEADLINE_MS, maxPoolSize: 1 })
  try {
    const hello = await client.db('admin').command({ hello: 1 }, { readPreference: 'primary' })
    // The host the driver reached, where there is but one: a container's member calls itself by an inner address.
    const [only, ...others] = client.options.hosts
    const address = others.length === 0 && only?.host !== undefined ? `${only.host}:${only.port}` : undefined
    return parseAddress(client.options.directConnection ? (address ?? '') : String(hello['primary'] ?? address))
  } finally {
    await client.close()
  }
}

function parseAddress(address: string): HostPort {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}
