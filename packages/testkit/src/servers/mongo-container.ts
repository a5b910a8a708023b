import { type Order, RungUnavailable, type RunningServer } from './server-kind.ts'

/** Starts Mongo in a container. */
export async function launchMongoContainer(_order: Order): Promise<RunningServer> {
  throw new RungUnavailable('not built yet', 'use another')
}
