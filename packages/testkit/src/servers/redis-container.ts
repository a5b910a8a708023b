import { type Order, RungUnavailable, type RunningServer } from './server-kind.ts'

/** Starts Redis in a container. */
export async function launchRedisContainer(_order: Order): Promise<RunningServer> {
  throw new RungUnavailable('not built yet', 'use another')
}
