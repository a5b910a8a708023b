import { redisKind } from './kinds.ts'
import { climb } from './ladder.ts'
import { launchRedis } from './redis.ts'
import { type RedisRelease, redisKindOf } from './redis-releases.ts'
import type { Member, Order, Program, RunningServer, ServerKind } from './server-kind.ts'

/** One server of several that belong together. */
export interface RedisNode extends Member {
  readonly host: string
  readonly url: string
  /** Sends a signal (`SIGKILL` by default); after that one resolves once the process is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>
}

/** What several servers that belong together are started with. */
export interface RedisFleetOptions {
  /** Which Redis or Valkey; by default the first that the ladder finds. */
  readonly release?: RedisRelease
  /** Further arguments of every server; they replace testkit's own of the same name. */
  readonly redisArgs?: readonly string[]
  /** Receives one line for the rung taken; stderr by default. */
  readonly report?: (line: string) => void
  /** Where forced rungs and the PATH are read; this process's environment by default. */
  readonly env?: NodeJS.ProcessEnv
}

/** Servers of one program, each with a port and a temporary folder of its own. */
export interface Fleet {
  readonly program: Program
  readonly nodes: readonly RedisNode[]
  /** Starts one more. */
  add(args: readonly string[]): Promise<RedisNode>
  stop(): Promise<void>
}

/** Starts `count` servers. @throws as `startRedis`; those that have started are stopped then */
export async function startFleet(options: RedisFleetOptions, label: string, count: number): Promise<Fleet> {
  const { kind, order } = readOptions(options, label)
  const first = (await climb(kind, order, true)).server
  const program: Program = { file: first.place, version: first.version }
  const servers: RunningServer[] = [first]
  const nodes: RedisNode[] = [nodeOf(first)]
  const add = async (args: readonly string[]): Promise<RedisNode> => {
    const server = await launchRedis(program, { ...order, args: [...order.args, ...args] })
    servers.push(server)
    const node = nodeOf(server)
    nodes.push(node)
    return node
  }
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map(server => server.stop()))
  }
  const others = await Promise.allSettled(Array.from({ length: count - 1 }, () => add([])))
  const failed = others.find(end => end.status === 'rejected')
  if (failed === undefined) return { program, nodes, add, stop }
  await stop()
  throw failed.reason
}

/** Programs only: what containers publish is not what the servers inside tell each other and their clients. */
function readOptions(options: RedisFleetOptions, label: string): { kind: ServerKind; order: Order } {
  const { release, redisArgs = [], env = process.env } = options
  const { STRATA_REDIS: _, REDIS_URL: __, ...free } = env
  const kind: ServerKind =
    release === undefined ? { ...redisKind, rungs: ['url', 'path', 'kept', 'wheel'] } : redisKindOf(release)
  const report = options.report ?? ((line: string) => process.stderr.write(`${line}\n`))
  const order = {
    env: release === undefined ? env : free,
    report,
    dataDir: undefined,
    members: 1 as const,
    args: redisArgs,
  }
  return { kind: { ...kind, label }, order }
}

function nodeOf(server: RunningServer): RedisNode {
  const [member] = server.members
  if (member === undefined || server.kill === undefined) throw new Error('A server program has one process')
  const { kill } = server
  return {
    get pid() {
      return member.pid
    },
    host: new URL(server.url).hostname,
    port: member.port,
    url: server.url,
    kill: signal => kill(signal),
    restart: () => member.restart(),
  }
}
