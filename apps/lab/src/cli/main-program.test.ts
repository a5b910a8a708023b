import { expect, test } from 'vitest'
import { runProgram } from './main-program.ts'

async function run(...args: string[]) {
  const seen = { out: '', err: '', code: 0 }
  await runProgram(args, {
    out: text => {
      seen.out += text
    },
    err: text => {
      seen.err += text
    },
    exitCode: code => {
      seen.code = code
    },
    signal: new AbortController().signal,
  })
  return seen
}

test.each([
  [['lab', 'nope'], 'No scenario nope'],
  [['lab', 'pool', '--pool', '0'], 'from 1 to 1000'],
  [['lab', 'pool', '--lanes', '1.5'], 'from 1 to 1000'],
  [['lab', 'pool', '--roots', 'many'], 'from 1 to 2000'],
  [['lab', 'pool', '--processes', '17'], 'from 1 to 16'],
  [['lab', 'pool', '--deadline-ms', '-1'], 'from 100 to 600000'],
  [['lab', 'pool', '--depth', '65'], 'from 1 to 64'],
  [['lab', 'slots', '--depth', '1'], '--depth 2 or more'],
  [['lab', 'pool', '--isolation', 'some'], 'levels, none'],
  [['lab', 'pool', '--topology', 'mesh'], 'replica-set, load-balanced'],
  [['lab', 'pool', '--size', '0'], 'from 1 to 1000'],
  [['lab', 'all', '--times', '0'], 'from 1 to 1000'],
  [['lab', 'all', '--strangers', 'x'], 'from 1 to 1000'],
  [['lab', 'all', '--depth', '1'], '--depth 2 or more'],
  [['lab', 'pool', '--bogus'], '--bogus'],
  [['lab', 'pool', '--accounts', '3'], 'pool has no flag --accounts'],
  [['lab', 'bank', '--roots', '3'], 'bank takes no --roots'],
  [['lab', 'bank', '--mode', 'fast'], 'transaction, two-phase'],
  [['lab', 'pool', '--fencing', 'on'], 'pool has no flag --fencing'],
  [['lab', 'lock', '--fencing', 'half'], 'on, off'],
  [['lab', 'pool', 'slots'], 'too many arguments'],
  [['bench', 'nope'], 'No benchmark nope'],
  [['bench', 'context', '--rounds', '0'], 'from 1 to 100'],
  [['bench', 'context', '--processes', '1,x'], 'from 1 to 64'],
  [['nope'], 'unknown command'],
])('%j is one line and exit 2', async (args, text) => {
  const { out, err, code } = await run(...args)
  expect({ out, code }).toEqual({ out: '', code: 2 })
  expect(err).toMatch(/^error: .*\n$/)
  expect(err).toContain(text)
})

test('lab alone lists the scenarios with hazard and promise', async () => {
  const { out, err, code } = await run('lab')
  expect({ err, code }).toEqual({ err: '', code: 0 })
  for (const text of ['blocked-stranger', 'long-operation', '(Z27)', 'POOL_WAIT']) expect(out).toContain(text)
})

test('lists are there for programs too', async () => {
  const { out } = await run('lab', '--json')
  expect(JSON.parse(out)).toHaveLength(22)
  expect(JSON.parse((await run('bench', '--json')).out)).toMatchObject([
    { name: 'context' },
    { name: 'transaction' },
    { name: 'contention' },
    { name: 'calls' },
    { name: 'push' },
    { name: 'link' },
    { name: 'outbox' },
    { name: 'inbox' },
    { name: 'transfer' },
    { name: 'lock' },
  ])
})
