import type { Datasource } from './datasource.ts'
import { levelsMaxDefault, levelsMaxLimit } from './level.ts'
import { dbContextError } from './registry.ts'

export interface ContextOptions {
  /** In the order in which one level takes them. At least one; names are unique. */
  readonly datasources: readonly Datasource[]
  /** `max` is the deepest level: a whole number from 1 to 64, default 4. It bounds calls and isolates together. */
  readonly levels?: { readonly max?: number }
  /**
   * `levels` (default): a pool and permits a level. `none`: **unsafe**, every level on one pool without permits, the
   * ordinary set-up, kept to show the deadlock with the very same code.
   */
  readonly isolation?: Isolation
  /** The longest wait for documents that other work holds, in milliseconds; default 2,000. */
  readonly lockWaitMs?: number
  /**
   * The deadline of transactions that name none, in milliseconds; default 30,000. Below the server's own lifetime of
   * transactions (MongoDB: 60 s unless configured), else `start` fails with `CONFIG`.
   */
  readonly transaction?: { readonly deadlineMs?: number }
  /**
   * How many processes like this one are to run: then the connections of all of them have to fit into the servers when the first
   * one starts (`CONNECTION_BUDGET`). Default: each process counts from its own start on.
   */
  readonly processes?: DeclaredProcesses
  /** Receives what must not change an outcome: a hook that failed. Default: a process warning. */
  readonly report?: (error: unknown, what: string) => void
}

export type Isolation = 'levels' | 'none'

/** Processes with equal settings, counted together in the connection budgets. */
export interface DeclaredProcesses {
  /** What they have in common, as `api` or `worker`: 1 to 100 characters. */
  readonly kind: string
  /** The most that ever run at once, those of a rolling deploy included: from 1 to 100,000. More of them count too. */
  readonly max: number
}

export interface CheckedOptions {
  readonly datasources: readonly [Datasource, ...Datasource[]]
  readonly levelsMax: number
  readonly isolated: boolean
  readonly lockWaitMs: number
  readonly transactionMs: number
  readonly processes: DeclaredProcesses | undefined
  readonly report: (error: unknown, what: string) => void
}

const lockWaitMsDefault = 2000
const transactionMsDefault = 30_000

/** @throws CONFIG */
export function readOptions(options: ContextOptions): CheckedOptions {
  const levelsMax = options.levels?.max ?? levelsMaxDefault
  const isolation = options.isolation ?? 'levels'
  const lockWaitMs = options.lockWaitMs ?? lockWaitMsDefault
  const transactionMs = options.transaction?.deadlineMs ?? transactionMsDefault
  const [first, ...others] = options.datasources
  checkWhole('levels.max', levelsMax, { min: 1, max: levelsMaxLimit })
  expect('isolation', isolation, { ok: isolation === 'levels' || isolation === 'none', to: "'levels' or 'none'" })
  checkMs('lockWaitMs', lockWaitMs)
  checkMs('transaction.deadlineMs', transactionMs)
  checkProcesses(options.processes)
  if (!first) throw config('datasources', 'empty', 'at least one datasource')
  const names = options.datasources.map(({ name }) => name)
  expect('datasources', names.join(', '), { ok: new Set(names).size === names.length, to: 'different names' })
  return {
    datasources: [first, ...others],
    levelsMax,
    isolated: isolation === 'levels',
    lockWaitMs,
    transactionMs,
    processes: options.processes,
    report: options.report ?? warn,
  }
}

function checkProcesses(processes: DeclaredProcesses | undefined): void {
  if (processes === undefined) return
  const { kind, max } = processes
  const ok = typeof kind === 'string' && kind.length >= 1 && kind.length <= 100
  expect('processes.kind', kind, { ok, to: 'a name of 1 to 100 characters' })
  checkWhole('processes.max', max, { min: 1, max: 100_000 })
}

/** setTimeout fires at once above this. */
const msLimit = 2 ** 31 - 1

/** Checks a bound in milliseconds; undefined is the default's affair. @throws CONFIG */
export function checkMs(option: string, value: number | undefined): void {
  const ok = value === undefined || (Number.isFinite(value) && value > 0 && value <= msLimit)
  expect(option, value, { ok, to: `milliseconds above 0, at most ${msLimit}` })
}

/** @throws CONFIG */
export function checkWhole(
  option: string,
  value: number | undefined,
  { min, max }: { min: number; max: number },
): void {
  const ok = value === undefined || (Number.isInteger(value) && value >= min && value <= max)
  expect(option, value, { ok, to: `a whole number from ${min} to ${max}` })
}

function expect(option: string, got: unknown, { ok, to }: { ok: boolean; to: string }): void {
  if (!ok) throw config(option, got, to)
}

function config(option: string, got: unknown, expected: string) {
  return dbContextError('CONFIG', `Option ${option} is ${String(got)}, expected ${expected}`, {
    details: { option, got, expected },
  })
}

function warn(error: unknown, what: string): void {
  process.emitWarning(`${what} failed: ${error instanceof Error ? error.message : String(error)}`, 'StrataWarning')
}
