import { availableParallelism, cpus, loadavg } from 'node:os'
import type { Trend } from './judge.ts'
import type { Times } from './load.ts'
import { depth, type SoakSettings } from './settings.ts'
import type { SoakResult } from './soak.ts'

/** The result as Markdown: what was run on what, and three tables. */
export function soakTable({ settings, servers, totals, trends, findings }: SoakResult): string {
  const { first, last } = totals
  return [
    heading(settings, servers),
    table(
      ['calls', 'first fifth', 'last fifth'],
      [
        ['calls', String(first.calls), String(last.calls)],
        ...(['p50', 'p99', 'max'] as const).map(key => [`${key}, ms`, ms(first, key), ms(last, key)]),
      ],
    ),
    table(
      ['what', 'first fifth', 'last fifth', 'may grow by', ''],
      trends.map(trend => [
        trend.name,
        amount(trend, trend.first),
        amount(trend, trend.last),
        bound(trend),
        mark(trend),
      ]),
    ),
    table(
      ['end', 'got', 'expected', ''],
      findings.map(finding => [finding.what, finding.got, finding.expected, mark(finding)]),
    ),
  ].join('\n\n')
}

/** What did not hold, one sentence each. */
export function problemsOf({ trends, findings, totals }: SoakResult): string[] {
  const { firstFailure } = totals
  return [
    ...trends
      .filter(({ ok }) => !ok)
      .map(
        trend =>
          `${trend.name} grew from ${amount(trend, trend.first)} to ${amount(trend, trend.last)}, at most ${bound(trend)}`,
      ),
    ...findings.filter(({ ok }) => !ok).map(({ what, got, expected }) => `${what}: ${got}, expected ${expected}`),
    ...(firstFailure === undefined ? [] : [`The first failure: ${firstFailure}`]),
  ]
}

function heading({ rate, warmUpMs, spanMs, workers }: SoakSettings, servers: string): string {
  const load = `${rate} root calls a second, ${depth} deep, for ${spanMs / 1000} s after ${warmUpMs / 1000} s of warm-up`
  const machine = `${availableParallelism()} x ${cpus()[0]?.model.trim()}, Node ${process.versions.node}, ${servers}`
  const [, , quarter = Number.NaN] = loadavg()
  return `${load}; one caller and ${workers} workers. ${machine}; load average ${quarter.toFixed(1)} over 15 minutes.`
}

const mark = ({ ok }: { readonly ok: boolean }) => (ok ? '' : 'NO')
const ms = (times: Times, key: 'p50' | 'p99' | 'max') => times[key].toFixed(1)

const amount = ({ name }: Pick<Trend, 'name'>, value: number) =>
  name.endsWith('Bytes') ? `${(value / 2 ** 20).toFixed(2)} MiB` : String(value)

function bound({ name, limit }: Trend): string {
  if (limit === undefined) return 'not judged'
  const parts = [limit.share > 0 ? `${limit.share * 100} %` : '', limit.slack > 0 ? amount({ name }, limit.slack) : '']
  return parts.filter(part => part !== '').join(' + ')
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}
