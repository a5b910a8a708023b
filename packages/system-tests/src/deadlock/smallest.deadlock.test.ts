import { expect, it } from 'vitest'
import { run } from './scenario-pair.ts'

const smallest = ['--pool', '1', '--lanes', '1', '--roots', '50', '--processes', '2']

it.each([1, 2, 3, 4, 5, 6, 7, 8])(
  '50 requests at once, %i deep, complete with every pool and lane of size 1',
  async depth => {
    const report = await run('pool', ...smallest, '--depth', String(depth))
    expect(report).toMatchObject({ verdict: 'as-expected', completed: 50 })
  },
)

it.each(['slots', 'starved-commit', 'blocked-stranger', 'backlog', 'long-operation'])(
  '%s completes 50 requests, 3 deep, with every pool and lane of size 1',
  async scenario => {
    const report = await run(scenario, ...smallest, '--depth', '3')
    expect(report).toMatchObject({ verdict: 'as-expected', completed: 50 })
  },
)
