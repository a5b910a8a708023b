import { describe, it } from 'vitest'
import { endsAsPromised, hangsIn, type Pair, showsItsSymptom } from './scenario-pair.ts'

/** Waits in which documents, calls or an order of datasources take part. */
const pairs: readonly Pair[] = [
  ['ancestor-lock', [], () => ({ hung: 20, symptoms: { LOCK_WAIT: 20 } }), { symptoms: { ANCESTOR_LOCK: 20 } }],
  [
    'await-before-commit',
    [],
    () => ({ failed: 20, symptoms: { AWAIT_BEFORE_COMMIT: 20 } }),
    { symptoms: { AWAIT_BEFORE_COMMIT: 20 } },
  ],
  ['upsert', [], hangsIn('POOL_WAIT'), { completed: 20 }],
  ['blocked-slot', [], hangsIn('LANE_WAIT'), { completed: 20 }],
  ['crossed', [], hangsIn('LOCK_WAIT'), { completed: 20 }],
  ['order', [], () => ({ failed: 20, symptoms: { LEVEL_ORDER: 20 } }), { failed: 20, symptoms: { LEVEL_ORDER: 20 } }],
]

describe.each(pairs)('%s %j', (...pair) => {
  it('shows its symptom without levels', () => showsItsSymptom(pair))
  it('ends as promised with levels', () => endsAsPromised(pair))
})
