import { MongoClient } from 'mongodb'
import { reasonOf, TestkitError } from '../errors.ts'
import { withoutPassword } from './password.ts'

const DEADLINE_MS = 4000

/** What the driver finds wrong with the form of a URL. It only reads it: no connection, no look-up of names. */
export function faultOfMongoUrl(url: string): string | undefined {
  try {
    new MongoClient(url)
    return undefined
  } catch (error) {
    return reasonOf(error)
  }
}

/**
 * Reaches a given MongoDB within 5 s and says its version.
 * @throws SERVERS_URL_UNREACHABLE when no writable primary answers.
 * @throws SERVERS_URL_UNSUITABLE when it is a standalone server: that one has no transactions.
 */
export async function checkMongoUrl(url: string): Promise<{ version: string }> {
  let client: MongoClient | undefined
  try {
    client = new MongoClient(url, { serverSelectionTimeoutMS: DEADLINE_MS, connectTimeoutMS: DEADLINE_MS })
    const admin = client.db('admin')
    const hello = await admin.command({ hello: 1 }, { readPreference: 'primary' })
    const suits = hello['setName'] !== undefined || hello['msg'] === 'isdbgrid' || hello['serviceId'] !== undefined
    if (!suits) throw standalone(url)
    const info = await admin.command({ buildInfo: 1 })
    return { version: String(info['version']) }
  } catch (error) {
    throw error instanceof TestkitError ? error : unreachable(url, error)
  } finally {
    await client?.close()
  }
}

function standalone(url: string): TestkitError {
  const text = `MONGO_URL ${withoutPassword(url)} is a standalone server, which has no transactions; start it with --replSet and initiate the set, or give the URL of a replica set`
  return new TestkitError('SERVERS_URL_UNSUITABLE', text)
}

function unreachable(url: string, error: unknown): TestkitError {
  const text = `MONGO_URL ${withoutPassword(url)} does not answer: ${reasonOf(error)}; check that the server runs and has a primary, and that host, port, user and replica set name are right`
  return new TestkitError('SERVERS_URL_UNREACHABLE', text, { cause: error })
}
