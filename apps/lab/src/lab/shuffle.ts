import type { Seed } from '@strata/testkit'

/** The whole numbers below `count` in an order that the seed decides. */
export function shuffled(count: number, seed: Seed): number[] {
  const numbers = Array.from({ length: count }, (_, index) => index)
  for (let last = count - 1; last > 0; last -= 1) {
    const other = seed.integer(0, last)
    const [a, b] = [numbers[last], numbers[other]]
    if (a === undefined || b === undefined) continue
    numbers[last] = b
    numbers[other] = a
  }
  return numbers
}
