import { protocol } from '@strata/consistency/two-phase-commit'
import { describe, expect, test } from 'vitest'
import { explore } from './exploration.ts'
import { mistakes } from './two-phase/mistakes.ts'
import { twoPhaseModel } from './two-phase/model.ts'
import { rulesOf } from './two-phase/rules.ts'

/** Of a fault comes more: who crashes leaves writes under way, which come at any time or never, and a lease that runs out. */
const faults = Number(process.env['STRATA_FAULTS'] ?? 2)

describe('the table of two-phase commit', () => {
  test(`is right in every interleaving of three actors, with ${faults} faults at any moments`, () => {
    const { states, moves, violation } = explore(twoPhaseModel(rulesOf(protocol)), faults)
    console.info(`${states} states, ${moves} moves`)
    expect(violation).toBeUndefined()
  }, 3_600_000)

  test.each(mistakes)('is wrong where $name: $symptom', ({ change, symptom, faults: most }) => {
    const { violation } = explore(twoPhaseModel(change(rulesOf(protocol))), most)
    expect(violation?.text).toBe(symptom)
    if (most > 1) expect(violation?.faults).toBe(most)
  })
})
