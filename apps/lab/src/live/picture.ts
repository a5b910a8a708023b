import type { PoolState } from '@strata/db-context'
import { diagnose, symptomsOf } from '../diagnosis/wait.ts'
import type { Frame } from '../lab/view.ts'
import type { ProcessReport, Statement } from '../process/report.ts'

/** Who holds and who waits at one level of one process. */
export interface PictureRow {
  readonly process: string
  readonly level: string
  readonly connections: string
  readonly holds: string
  readonly jobs: string
  readonly waits: string
}

/** How many are named before the rest is only counted. */
const namedMax = 3

/** The processes' levels, each with its connections, jobs, holders and waiters; levels where nothing is are left out. */
export function picture({ crew }: Frame): PictureRow[] {
  const rootOf = new Map(crew.reports.flatMap(({ units }) => Object.entries(units)))
  const nameOf = (chain: string) => (rootOf.has(chain) ? `root ${rootOf.get(chain)}` : 'other work')
  const started = new Set(crew.reports.flatMap(({ jobs }) => jobs.map(({ job }) => job)))
  return crew.reports.flatMap(report => levelsOf(report).map(level => row(report, level, { nameOf, started })))
}

/** One line: how the roots stand, and what the unfinished ones wait in. */
export function standing({ crew, settings, elapsedMs }: Frame): string {
  const unfinished = Array.from({ length: settings.roots }, (_, root) => root).filter(root => !crew.ends.has(root))
  const failed = [...crew.ends.values()].filter(({ code }) => code !== undefined).length
  const waits = Object.entries(symptomsOf(diagnose(unfinished, crew.reports)))
  const codes = waits.map(([code, count]) => `${count} ${code === 'UNSEEN_WAIT' ? 'going on' : code}`).join(', ')
  const seconds = (elapsedMs / 1000).toFixed(1)
  const parts = [`${crew.ends.size - failed} completed`, `${failed} failed`, `${unfinished.length} unfinished`]
  return `${seconds} s of ${settings.deadlineMs / 1000} s: ${parts.join(', ')}${codes === '' ? '' : ` (${codes})`}`
}

interface Names {
  readonly nameOf: (chain: string) => string
  readonly started: ReadonlySet<string>
}

function row(report: ProcessReport, level: number, { nameOf, started }: Names): PictureRow {
  const statements = report.statements.filter(statement => statement.level === level)
  const calls = report.calls.filter(call => call.level === level && !started.has(call.job))
  const waiting = new Set(statements.filter(isWaiting).map(({ root }) => root))
  // Without levels a transaction is open before it has its connection.
  const holds = (each: Statement) => !isWaiting(each) && !(each.phase === 'holding' && waiting.has(each.root))
  return {
    process: report.process,
    level: String(level),
    connections: report.pools
      .filter(pool => pool.level === level)
      .map(connectionsOf)
      .join(' '),
    jobs: String(report.jobs.filter(job => job.level === level).length),
    holds: named([
      ...statements.filter(holds).map(({ root, what }) => `${nameOf(root)}: ${what}`),
      ...report.jobs.filter(job => job.level === level).map(({ root, name }) => `${nameOf(root)}: job ${name}`),
    ]),
    waits: named([
      ...statements.filter(isWaiting).map(({ root, what }) => `${nameOf(root)}: connection for ${what}`),
      ...calls.map(({ root, name }) => `${nameOf(root)}: slot for ${name}`),
    ]),
  }
}

const isWaiting = ({ phase }: Statement): boolean => phase === 'queued' || phase === 'connecting'

const connectionsOf = ({ inUse, max, waiting }: PoolState): string =>
  `${inUse}/${max}${waiting > 0 ? ` +${waiting}` : ''}`

/** One line a lane: its slots over all processes, and how many jobs wait for one. */
export function laneLines({ crew }: Frame): string[] {
  return crew.reports
    .flatMap(({ lanes }) => lanes)
    .map(({ lane, active, slots, waiting }) => {
      return `lane ${lane}: ${active} of ${slots} slots in use${waiting > 0 ? `, ${waiting} jobs wait` : ''}`
    })
}

function levelsOf({ pools, statements, calls, jobs }: ProcessReport): number[] {
  const numbered = pools.flatMap(({ level }) => (typeof level === 'number' ? [level] : []))
  const levels = [...statements, ...calls, ...jobs].map(({ level }) => level)
  return [...new Set([...numbered, ...levels])].sort((a, b) => a - b)
}

function named(all: readonly string[]): string {
  const rest = all.length - namedMax
  const first = all.slice(0, namedMax).join('\n')
  return rest > 0 ? `${first}\nand ${rest} more` : first
}
