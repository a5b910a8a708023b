import type { Arguments } from './arguments.ts'

/** What differs from one Redis to the next. */
export interface RedisServerOptions {
  readonly dir: string
  readonly port: number
  readonly bind: string
}

/** How every Redis of testkit is started: a queue's keys are never evicted, and what is written is on disk within 1 s. */
export function redisArguments({ dir, port, bind }: RedisServerOptions): Arguments {
  return {
    '--port': String(port),
    '--bind': bind,
    '--dir': dir,
    '--maxmemory-policy': 'noeviction',
    '--appendonly': 'yes',
    '--appendfsync': 'everysec',
    '--save': '',
  }
}
