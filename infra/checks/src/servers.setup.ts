import { startLoadBalancedProxy, startServers } from '@strata/testkit'
import type { TestProject } from 'vitest/node'

interface SharedServers {
  readonly mongoUrl: string
  readonly mongoLbUrl: string
  readonly redisUrl: string
  stop(): Promise<void>
}

// Vitest loads this file anew for each project. A symbol on globalThis is what the projects of one run have in
// common; servers of their own would cost every project a start and the machine a second mongod.
const shared = Symbol.for('strata.checks.servers')
const slot = globalThis as { [shared]?: { users: number; servers: Promise<SharedServers> } }

async function startShared(): Promise<SharedServers> {
  const servers = await startServers()
  const proxy = await startLoadBalancedProxy(servers.mongoUrl)
  return {
    mongoUrl: servers.mongoUrl,
    mongoLbUrl: proxy.url,
    redisUrl: servers.redisUrl,
    stop: async () => {
      await proxy.stop()
      await servers.stop()
    },
  }
}

/** Starts the run's servers with the first project that needs them, and stops them after the last. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  slot[shared] ??= { users: 0, servers: startShared() }
  const entry = slot[shared]
  entry.users += 1
  const servers = await entry.servers
  project.provide('mongoUrl', servers.mongoUrl)
  project.provide('mongoLbUrl', servers.mongoLbUrl)
  project.provide('redisUrl', servers.redisUrl)
  return async () => {
    entry.users -= 1
    if (entry.users > 0) return
    delete slot[shared]
    await servers.stop()
  }
}
