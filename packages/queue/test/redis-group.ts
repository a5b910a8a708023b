import { type RedisCluster, TestkitError } from '@strata/testkit'
import type { TestContext } from 'vitest'
import type { RedisTarget } from '../src/index.ts'

/** Such servers are made of programs: where none can be had, what needs them is skipped, and says why. */
export function skipWithoutProgram(context: TestContext): (error: unknown) => never {
  return error => {
    if (error instanceof TestkitError && error.code === 'SERVERS_UNAVAILABLE') context.skip(error.message)
    throw error
  }
}

/** As an application would name a cluster: by some of its nodes. */
export const targetOf = (cluster: RedisCluster): RedisTarget => ({
  cluster: cluster.nodes.map(({ host, port }) => ({ host, port })),
})
