import { fdatasync, openSync, readFileSync, writeSync } from 'node:fs'
import { promisify } from 'node:util'

/** A call that a process is about to make: what it asked for, and what may come of it without any fault. */
export interface Sent {
  readonly row: 'sent'
  readonly id: string
  readonly pid: number
  readonly at: number
  readonly deadlineMs: number
  readonly bytes: number
  /** Made from inside a job. */
  readonly isNested: boolean
  /** Codes that the call was made for: it was to be refused, or has a deadline that is shorter than its work. */
  readonly expects: readonly string[]
}

/** A handler that has begun. */
export interface Begun {
  readonly row: 'begun'
  readonly id: string
  readonly pid: number
  readonly at: number
  readonly attempt: number
}

/** An effect that a handler has before the call that it makes: it stays, whatever becomes of that call. */
export interface Part {
  readonly row: 'part'
  readonly id: string
  readonly pid: number
  readonly at: number
  readonly attempt: number
}

/** An effect: what a customer would see, on disk before the handler goes on. */
export interface Applied {
  readonly row: 'applied'
  readonly id: string
  readonly pid: number
  readonly at: number
  readonly attempt: number
  /** Comes back in the result, which so tells whose effect it reports. */
  readonly stamp: string
}

/** How a call ended for its caller. */
export interface Ended {
  readonly row: 'ended'
  readonly id: string
  readonly pid: number
  readonly at: number
  /** How long it took in time in which its process ran. */
  readonly ranMs: number
  readonly stamp?: string
  readonly bytes?: number
  readonly code?: string
  readonly outcome?: string
}

export type Row = Sent | Begun | Part | Applied | Ended

/** What Redis holds of a job that has ended. */
export interface Recorded {
  readonly state: 'completed' | 'failed'
  readonly finishedAt: number
}

/** A piece of wall time. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** All that is known of a round; times are those of the machine's clock, which all processes share. */
export interface History {
  readonly rows: readonly Row[]
  /** By the call's id. */
  readonly records: ReadonlyMap<string, Recorded>
  /** When Redis could not be asked by some process. */
  readonly outages: readonly Span[]
  /** When a process was killed, by its pid. */
  readonly killed: ReadonlyMap<number, number>
  readonly explains: Explanation
}

/** Codes that a fault may cost a call of a process, and one made from inside a job. */
export interface Explanation {
  readonly call: readonly string[]
  readonly nested: readonly string[]
}

const sync = promisify(fdatasync)

/** Appends to the history that all processes of a round share; a line is one write, so lines never mix. */
export class HistoryFile {
  readonly #file: number

  constructor(path: string) {
    this.#file = openSync(path, 'a')
  }

  /** Outlives this process. */
  write(row: Row): void {
    writeSync(this.#file, `${JSON.stringify(row)}\n`)
  }

  /** Outlives the machine. */
  async keep(row: Row): Promise<void> {
    this.write(row)
    await sync(this.#file)
  }
}

/** Everything written so far. */
export function readRows(path: string): Row[] {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return lines.map(line => JSON.parse(line) as Row)
}

/** The rows of one kind. */
export function rowsOf<K extends Row['row']>(rows: readonly Row[], kind: K): Extract<Row, { row: K }>[] {
  return rows.filter((row): row is Extract<Row, { row: K }> => row.row === kind)
}
