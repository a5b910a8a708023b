import { type Program, RungUnavailable } from '../server-kind.ts'

const VERSION = '8.0.15'

/** Under which name a downloaded mongod is kept. */
export function downloadPin(env: NodeJS.ProcessEnv): { pin: string; program: string; version: string } {
  const version = env['MONGOMS_VERSION'] ?? VERSION
  return { pin: `mongod-${version}-download`, program: 'mongod', version }
}

/** MongoDB's official download. */
export async function downloadMongod(): Promise<Program> {
  throw new RungUnavailable('not built yet', 'use another')
}
