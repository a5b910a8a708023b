import { type Document, MongoClient, MongoServerError } from 'mongodb'
import { TestkitError } from '../errors.ts'
import { until } from '../until.ts'

/** The name of every replica set that testkit starts. */
export const REPLICA_SET = 'rs0'

const NOT_YET_INITIALIZED = 94
const ALREADY_INITIALIZED = 23
const CONFIGURATION_IN_PROGRESS = 109

// MongoDB's own 10 s election timeout makes a test of a lost primary slow; below 2 s a busy machine elects for nothing.
const SETTINGS = { electionTimeoutMillis: 3000, heartbeatIntervalMillis: 500 }

/** Which members the set has, and how long it may take. */
export interface ReplicaSetOptions {
  readonly hosts: readonly string[]
  readonly deadlineMs: number
  /** True when a member has ended: then waiting is over. */
  readonly hasFailed: () => boolean
  /** Where to reach the first member, if not where the others see it (a container's mapped port). */
  readonly reach?: readonly string[]
}

/**
 * Makes the servers at `hosts` a replica set with a writable primary, whatever they were before: new, the same set
 * on the same ports, or the same set on other ports (then by a forced reconfiguration, since a set that does not
 * find itself under the hosts it has stored elects no primary).
 * @throws SERVERS_DATA_FOLDER when the data hold a set of another size.
 */
export async function formReplicaSet(options: ReplicaSetOptions): Promise<void> {
  const [first] = reachable(options)
  if (first === undefined) throw new Error('A replica set has at least one member')
  const client = directClient(first)
  try {
    await waitFor(options, `the replica set ${REPLICA_SET} to be configured`, () => configure(client, options.hosts))
  } finally {
    await client.close()
  }
  const clients = reachable(options).map(directClient)
  try {
    await waitFor(options, 'a writable primary', () => isSettled(clients, options.hosts))
  } finally {
    await Promise.all(clients.map(each => each.close()))
  }
}

function reachable(options: ReplicaSetOptions): readonly string[] {
  return options.reach ?? options.hosts
}

async function waitFor(options: ReplicaSetOptions, message: string, look: () => Promise<boolean>): Promise<void> {
  // A wrong size is final, and so is a member that has ended; everything else is a set on its way.
  const final = async (): Promise<{ error?: unknown } | undefined> => {
    if (options.hasFailed()) return { error: new Error('A member ended while starting') }
    try {
      return (await look()) ? {} : undefined
    } catch (error) {
      if (error instanceof TestkitError) return { error }
      throw error
    }
  }
  const end = await until(final, { deadlineMs: options.deadlineMs, message })
  if (end?.error !== undefined) throw end.error
}

async function configure(client: MongoClient, hosts: readonly string[]): Promise<boolean> {
  const config = await readConfig(client)
  if (config === undefined) {
    const members = hosts.map((host, _id) => ({ _id, host }))
    return tryCommand(client, { replSetInitiate: { _id: REPLICA_SET, members, settings: SETTINGS } })
  }
  const members = config['members'] as { host: string }[]
  if (members.length !== hosts.length) throw wrongSize(members.length, hosts.length)
  if (members.every((member, i) => member.host === hosts[i])) return true
  const moved = members.map((member, i) => ({ ...member, host: hosts[i] }))
  return tryCommand(client, {
    replSetReconfig: { ...config, version: config['version'] + 1, members: moved },
    force: true,
  })
}

async function readConfig(client: MongoClient): Promise<Document | undefined> {
  try {
    await client.connect()
    return (await client.db('admin').command({ replSetGetConfig: 1 }))['config']
  } catch (error) {
    if (error instanceof MongoServerError && error.code === NOT_YET_INITIALIZED) return undefined
    throw error
  }
}

/** False when the server is still reading its stored configuration: then there is one, and the next look sees it. */
async function tryCommand(client: MongoClient, command: Document): Promise<boolean> {
  try {
    await client.db('admin').command(command)
    return true
  } catch (error) {
    if (!(error instanceof MongoServerError)) throw error
    if (error.code === ALREADY_INITIALIZED || error.code === CONFIGURATION_IN_PROGRESS) return false
    throw error
  }
}

async function isSettled(clients: readonly MongoClient[], hosts: readonly string[]): Promise<boolean> {
  await Promise.all(clients.map(client => client.connect()))
  const hellos = await Promise.all(clients.map(client => client.db('admin').command({ hello: 1 })))
  const primaries = hellos.filter(hello => hello['isWritablePrimary'] === true)
  const ready = hellos.filter(hello => hello['isWritablePrimary'] === true || hello['secondary'] === true)
  const moved = hellos.every(hello => String(hello['hosts']) === String(hosts))
  return primaries.length === 1 && ready.length === hosts.length && moved
}

/**
 * A client of this one member, whatever the set is up to. Call `connect` before each look: a driver that could not
 * connect at its first command answers every later one with "Topology is closed", however well the server is by then.
 */
export function directClient(host: string): MongoClient {
  const timeouts = { serverSelectionTimeoutMS: 2000, connectTimeoutMS: 2000, socketTimeoutMS: 20_000 }
  return new MongoClient(`mongodb://${host}/?directConnection=true`, { ...timeouts, maxPoolSize: 1 })
}

/** The error of data that hold a set of another size. */
export function wrongSize(got: number, wanted: number): TestkitError {
  const text = `The data folder holds a replica set of ${got}, asked for is one of ${wanted}; use another folder, or remove this one`
  return new TestkitError('SERVERS_DATA_FOLDER', text, { details: { got, wanted } })
}
