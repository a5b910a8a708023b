import Table from 'cli-table3'
import { benchmarks } from '../bench/benchmarks.ts'
import type { BenchResult } from '../bench/run.ts'
import { plain } from './plain.ts'

/** A bench run as a person reads it. */
export function benchTable({ rows, rounds, machine }: BenchResult): string {
  const head = ['row', 'ours', 'reference', 'unit', 'ratio', 'of rounds', 'goal', 'met']
  const table = new Table({ head, style: plain })
  for (const row of rows) {
    const { id, ours, reference, unit, ratio, ratioMin, ratioMax, goal, met, better } = row
    const limit = goal === null ? '' : `${better === 'lower' ? '<=' : '>='} ${goal}`
    const answer = met === null ? '' : met ? 'yes' : 'no'
    table.push([id, ours, reference, unit, ratio, `${ratioMin} to ${ratioMax}`, limit, answer])
  }
  const what = rows.map(({ id, what }) => `${id}: ${what}`).join('\n')
  return `${table.toString()}\n${what}\nMedians of ${rounds} rounds on ${machine.cores} cores (${machine.cpu})\n`
}

export function benchmarkList(): string {
  const table = new Table({ head: ['benchmark', 'what'], style: plain })
  for (const { name, what } of benchmarks) table.push([name, what])
  return `${table.toString()}\nRun one: npm run bench -- NAME, or --help for the flags\n`
}
