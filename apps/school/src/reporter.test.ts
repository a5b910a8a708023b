import { pino } from 'pino'
import { expect, test } from 'vitest'
import { reporter } from './reporter.ts'

const refused = () => Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), { code: 'ECONNREFUSED' })

function reporting() {
  const clock = { ms: 0 }
  const lines: { msg: string; reason: string; suppressed?: number }[] = []
  const log = pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(JSON.parse(line)) })
  return { clock, lines, report: reporter(log, () => clock.ms) }
}

test('a failure that comes again and again is one line at once, then one a minute with the number left out', () => {
  const { clock, lines, report } = reporting()
  for (clock.ms = 0; clock.ms <= 120_000; clock.ms += 100) report(refused(), 'Lane a')
  expect(lines.map(({ suppressed }) => suppressed)).toEqual([undefined, 599, 599])
  expect(lines[0]).toEqual({ level: 40, reason: 'connect ECONNREFUSED 127.0.0.1:6379', msg: 'Lane a' })
})

test('another place, another code and another text without a code are lines of their own', () => {
  const { lines, report } = reporting()
  for (const what of ['Lane a', 'Lane b', 'Lane a']) report(refused(), what)
  report(Object.assign(refused(), { code: 'ETIMEDOUT' }), 'Lane a')
  for (const text of ['one', 'two', 'one']) report(new Error(text), 'Lane a')
  expect(lines).toHaveLength(5)
})

test('what comes again after a quiet minute is told as new', () => {
  const { clock, lines, report } = reporting()
  report(refused(), 'Lane a')
  clock.ms = 60_000
  report(refused(), 'Lane a')
  expect(lines.map(({ suppressed }) => suppressed)).toEqual([undefined, undefined])
})

test('however many kinds there are, what is kept of them is bounded', () => {
  const { lines, report } = reporting()
  for (let kind = 0; kind <= 1000; kind += 1) report(refused(), `Lane ${kind}`)
  report(refused(), 'Lane 1000')
  expect(lines).toHaveLength(1001)
  report(refused(), 'Lane 0')
  expect(lines).toHaveLength(1002)
})
