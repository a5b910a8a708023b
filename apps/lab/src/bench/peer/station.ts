/** What the bench compares: ours, and what people use today. */
export type System = 'strata' | 'bullmq' | 'platformatic'

/** One side of one row: where its calls go, and how many jobs its worker runs at once. */
export interface Station {
  readonly id: string
  readonly system: System
  readonly redisUrl: string
  /** Begins every Redis key, so that rows do not hear each other's events. */
  readonly prefix: string
  readonly slots: number
}

/** A call: sends a job, which gives back what it got, and waits for its result. */
export type Call = () => Promise<void>

export interface Caller extends AsyncDisposable {
  readonly call: Call
}

/** How one system is opened in a process. */
export interface SystemSides {
  openCaller(station: Station): Promise<Caller>
  openWorker(station: Station): Promise<AsyncDisposable>
}

/** Of every call, in every system; a load that needs longer shows a hang and not a speed. */
export const callDeadlineMs = 30_000

/** How long all systems keep ended jobs: what Strata does by default. */
export const kept = { age: 3600, count: 10_000 } as const
export const queueName = 'echo'

let last = 0
/** A small input, different each time; the result is the same. */
export const nextInput = (): { n: number } => ({ n: ++last })

/** @throws Error when a call did not give its own result. */
export function expectEcho(sent: { n: number }, got: unknown): void {
  if ((got as { n?: unknown } | undefined)?.n !== sent.n) throw new Error(`Call ${sent.n} got ${JSON.stringify(got)}`)
}
