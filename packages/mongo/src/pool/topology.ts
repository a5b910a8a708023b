import type { MongoClient } from 'mongodb'
import { mongoError } from '../errors.ts'

/**
 * What stands behind a client. `load-balanced`: transactions and open cursors pin their connection. `sharded`: a blocked
 * write may have been applied by one shard when another gives up.
 */
export type Topology = 'replica-set' | 'sharded' | 'load-balanced'

/** Asks a connected client's server what it is. @throws TOPOLOGY_UNSUPPORTED for a standalone */
export async function readTopology(client: MongoClient, timeoutMs: number): Promise<Topology> {
  // A DNS record may set it, so it is known only once connected.
  if (client.options.loadBalanced) {
    await client.db('admin').command({ ping: 1, maxTimeMS: timeoutMs })
    return 'load-balanced'
  }
  const hello = await client.db('admin').command({ hello: 1, maxTimeMS: timeoutMs })
  if (hello['msg'] === 'isdbgrid') return 'sharded'
  if (hello['setName']) return 'replica-set'
  throw mongoError(
    'TOPOLOGY_UNSUPPORTED',
    'Server is a standalone, which has no transactions: start it with --replSet and initiate a replica set of one',
  )
}
