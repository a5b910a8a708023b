import type { Document } from 'mongodb'
import { until } from '../until.ts'
import type { RunningProgram } from './program.ts'
import { directClient, REPLICA_SET } from './replica-set.ts'

const DEADLINE_MS = 20_000

/** Where the set's members will be, and this one alone, started without the set's name. */
export interface Move {
  readonly hosts: readonly string[]
  readonly host: string
  readonly alone: RunningProgram
}

/**
 * Writes new addresses into a member's stored configuration while it runs alone, then ends it.
 *
 * Not left to a forced replSetReconfig: started with the old addresses, a member first asks them whether they are
 * itself, and whoever has taken its port and does not answer keeps it waiting for 30 s (a reconfiguration for 32.6 s
 * in all, this for about one).
 * @see https://www.mongodb.com/docs/manual/tutorial/change-hostnames-in-a-replica-set/
 */
export async function moveMember({ hosts, host, alone }: Move): Promise<void> {
  const client = directClient(host)
  try {
    const configs = client.db('local').collection<Document & { _id: string }>('system.replset')
    const read = async (): Promise<{ config: Document | null } | undefined> => {
      if (alone.hasExited()) return { config: null }
      await client.connect()
      return { config: await configs.findOne({ _id: REPLICA_SET }) }
    }
    const found = await until(read, { deadlineMs: DEADLINE_MS, message: `the member at ${host} to answer` })
    const places = hosts.map((each, index) => [`members.${index}.host`, each])
    if (found?.config) await configs.updateOne({ _id: REPLICA_SET }, { $set: Object.fromEntries(places) })
  } finally {
    await client.close()
    await alone.stop()
  }
}
