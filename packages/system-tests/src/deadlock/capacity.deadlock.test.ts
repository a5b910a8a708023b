import { describe, it } from 'vitest'
import { endsAsPromised, hangsIn, type Pair, showsItsSymptom } from './scenario-pair.ts'

/** Waits for a connection, a slot or a deeper level. */
const pairs: readonly Pair[] = [
  ['pool', ['--topology', 'load-balanced'], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['pool', ['--processes', '1', '--depth', '1'], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['pool', ['--topology', 'replica-set'], () => ({ completed: 20 }), { completed: 20 }],
  ['slots', [], hangsIn('LANE_WAIT'), { completed: 20 }],
  ['starved-commit', [], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['blocked-stranger', [], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['backlog', [], () => ({ hung: 20, symptoms: { LANE_WAIT: 20 } }), { completed: 20 }],
  ['long-operation', [], () => ({}), { completed: 20 }],
  ['depth', [], () => ({ failed: 20, symptoms: { LEVEL_LIMIT: 20 } }), { failed: 20, symptoms: { LEVEL_LIMIT: 20 } }],
]

describe.each(pairs)('%s %j', (...pair) => {
  it('shows its symptom without levels', () => showsItsSymptom(pair))
  it('ends as promised with levels', () => endsAsPromised(pair))
})
