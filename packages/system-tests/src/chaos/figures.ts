import { type Breach, type BreachKind, breachKinds } from './checker.ts'
import type { Fault } from './fault.ts'
import { type History, rowsOf } from './history.ts'

/** What rounds of one fault have shown, added up. */
export interface Figures {
  readonly rounds: number
  /** What was broken: connections, replies, jobs that ran, or the thing that the fault is about. */
  readonly struck: number
  readonly calls: number
  readonly results: number
  readonly codes: Readonly<Record<string, number>>
  readonly unknown: number
  readonly breaches: Readonly<Record<BreachKind, number>>
  /** The longest time from a worker's SIGKILL until another began one of its jobs; undefined where none was taken over. */
  readonly takeoverMs: number | undefined
}

/** The figures of one round. */
export function figuresOf(history: History, breaches: readonly Breach[], struck: number): Figures {
  const ended = rowsOf(history.rows, 'ended')
  return {
    rounds: 1,
    struck,
    calls: rowsOf(history.rows, 'sent').length,
    results: ended.filter(({ code }) => code === undefined).length,
    codes: countBy(ended.flatMap(({ code }) => code ?? [])),
    unknown: ended.filter(({ outcome }) => outcome === 'unknown').length,
    breaches: countBreaches(breaches),
    takeoverMs: takeoverOf(history),
  }
}

export function addFigures(one: Figures, other: Figures): Figures {
  const sum = (key: 'rounds' | 'struck' | 'calls' | 'results' | 'unknown') => one[key] + other[key]
  const codes = { ...one.codes }
  for (const [code, count] of Object.entries(other.codes)) codes[code] = (codes[code] ?? 0) + count
  const breaches = { ...one.breaches }
  for (const kind of breachKinds) breaches[kind] += other.breaches[kind]
  const takeovers = [one, other].flatMap(({ takeoverMs }) => takeoverMs ?? [])
  return {
    rounds: sum('rounds'),
    struck: sum('struck'),
    calls: sum('calls'),
    results: sum('results'),
    codes,
    unknown: sum('unknown'),
    breaches,
    takeoverMs: takeovers.length > 0 ? Math.max(...takeovers) : undefined,
  }
}

/** A table in Markdown, a fault a row, for the page of faults. */
export function printFigures(all: ReadonlyMap<Fault, Figures>): string {
  const head = [
    'fault',
    'rounds',
    'struck',
    'calls',
    'results',
    'errors by code',
    'unknown',
    ...breachKinds,
    'takeover, ms',
  ]
  const rows = [...all].map(([{ name }, figures]) => [
    `\`${name}\``,
    figures.rounds,
    figures.struck,
    figures.calls,
    figures.results,
    Object.entries(figures.codes)
      .sort()
      .map(([code, count]) => `${code} ${count}`)
      .join(', '),
    figures.unknown,
    ...breachKinds.map(kind => figures.breaches[kind]),
    figures.takeoverMs ?? '',
  ])
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function countBreaches(breaches: readonly Breach[]): Record<BreachKind, number> {
  const counts = countBy(breaches.map(({ kind }) => kind))
  return Object.fromEntries(breachKinds.map(kind => [kind, counts[kind] ?? 0])) as Record<BreachKind, number>
}

function takeoverOf({ rows, killed }: History): number | undefined {
  const callers = new Set(rowsOf(rows, 'sent').flatMap(({ isNested, pid }) => (isNested ? [] : [pid])))
  const again = rowsOf(rows, 'begun').filter(({ attempt }) => attempt === 2)
  const times = [...killed].flatMap(([pid, killedAt]) =>
    callers.has(pid) ? [] : again.flatMap(({ at }) => (at >= killedAt ? [at - killedAt] : [])),
  )
  return times.length > 0 ? Math.max(...times) : undefined
}
