import type { Contest, Row } from './benchmark.ts'
import { median } from './median.ts'

/** Dozens of operations, and so short that whatever else the machine does meets both sides: at 100 ms a busy machine shows its own noise. */
const sliceMsDefault = 10
const warmUpMs = 500

/** What one round of one contest has shown. */
export interface Round {
  readonly ours: number
  readonly reference: number
  readonly ratio: number
}

/** Lets both sides reach their usual speed. */
export async function warmUp({ ours, reference }: Contest): Promise<void> {
  await ours(warmUpMs)
  await reference(warmUpMs)
}

/**
 * One round: ours and the reference in turn, in pairs of short slices, the first of a pair alternating. The round's ratio is the
 * median of the pairs' ratios: a burst of other work spoils some pairs and not the round.
 */
export async function duel(
  { ours, reference, sliceMs = sliceMsDefault }: Contest,
  { seconds, round }: { seconds: number; round: number },
): Promise<Round> {
  const pairs = Math.max(1, Math.round((seconds * 1000) / (2 * sliceMs)))
  const seen: Round[] = []
  for (let pair = 0; pair < pairs; pair += 1) {
    const oursFirst = (pair + round) % 2 === 0
    const first = await (oursFirst ? ours : reference)(sliceMs)
    const second = await (oursFirst ? reference : ours)(sliceMs)
    const [own, other] = oursFirst ? [first, second] : [second, first]
    seen.push({ ours: own, reference: other, ratio: own / other })
  }
  return middleOf(seen)
}

/** The row of a contest after all of its rounds. */
export function rowOf({ id, what, unit, better, goal }: Contest, rounds: readonly Round[]): Row {
  const { ours, reference, ratio } = middleOf(rounds)
  const ratios = rounds.map(round => round.ratio)
  return {
    id,
    what,
    unit,
    better,
    ours: rounded(ours),
    reference: rounded(reference),
    ratio: rounded(ratio),
    ratioMin: rounded(Math.min(...ratios)),
    ratioMax: rounded(Math.max(...ratios)),
    goal: goal ?? null,
    met: goal === undefined ? null : better === 'lower' ? ratio <= goal : ratio >= goal,
  }
}

const middleOf = (rounds: readonly Round[]): Round => ({
  ours: median(rounds.map(({ ours }) => ours)),
  reference: median(rounds.map(({ reference }) => reference)),
  ratio: median(rounds.map(({ ratio }) => ratio)),
})

const rounded = (value: number): number => Number(value.toPrecision(4))
