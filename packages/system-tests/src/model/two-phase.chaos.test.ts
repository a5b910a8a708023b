import { protocol } from '@strata/consistency/two-phase-commit'
import { describe, expect, test } from 'vitest'
import { explore } from './exploration.ts'
import { mistakes } from './two-phase/mistakes.ts'
import { type Circumstance, circumstances, twoPhaseModel } from './two-phase/model.ts'
import { rulesOf } from './two-phase/rules.ts'

const { STRATA_SEEDS: seeds, STRATA_FAULTS: faults = seeds ? 2 : 1 } = process.env

/** In the whole form any two faults at once, or as many as `STRATA_FAULTS` says. Of each comes more: a crash leaves late writes. */
const explored: readonly { readonly faults: number; readonly among: readonly Circumstance[] }[] = [
  { faults: Number(faults), among: circumstances },
  ...(Number(faults) < 2 ? [{ faults: 2, among: ['both can'] as const }] : []),
]

const longestMs = 3_600_000

describe('the table of two-phase commit', () => {
  test.each(explored)(
    'is right in every interleaving of three actors: $faults faults, $among.length kinds of participants',
    ({ faults, among }) => {
      const { states, moves, violation } = explore(twoPhaseModel(rulesOf(protocol), among), faults)
      console.info(`${states} states, ${moves} moves`)
      expect(violation).toBeUndefined()
      expect(states).toBeGreaterThan(50_000)
    },
    longestMs,
  )

  test.each(mistakes)('is wrong where $name: $symptom', ({ change, symptom, faults, among = circumstances }) => {
    const { violation } = explore(twoPhaseModel(change(rulesOf(protocol)), among), faults)
    expect(violation?.text).toBe(symptom)
    if (faults > 1) expect(violation?.faults).toBe(faults)
  })
})
