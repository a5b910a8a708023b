import type { Arguments } from './arguments.ts'

/** What differs from one mongod to the next. */
export interface MongodOptions {
  readonly dbpath: string
  readonly port: number
  readonly bind: string
  /** The replica set's name; undefined for one that runs alone. */
  readonly set: string | undefined
}

/** How every mongod of testkit is started, as a program or in a container. */
export function mongodArguments({ dbpath, port, bind, set }: MongodOptions): Arguments {
  return {
    '--dbpath': dbpath,
    '--port': String(port),
    '--bind_ip': bind,
    ...(set === undefined ? {} : { '--replSet': set }),
    // Without these three each server takes half of the memory, 5 % of the disk, and a socket in the shared folder.
    '--wiredTigerCacheSizeGB': '0.25',
    '--oplogSize': '512',
    '--nounixsocket': true,
    '--quiet': true,
    '--setParameter': [
      'diagnosticDataCollectionEnabled=false',
      // A member of three otherwise stays for 15 s after SIGTERM, in case somebody still reads from it.
      'shutdownTimeoutMillisForSignaledShutdown=300',
    ],
  }
}
