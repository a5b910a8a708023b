/** How fast some callers went. */
export interface Pace {
  readonly perSecond: number
  /** What 99 of 100 operations took at most, in milliseconds. */
  readonly p99Ms: number
}

/** Has each caller repeat its operation for about this long. */
export async function paceOf(callers: readonly (() => Promise<unknown>)[], forMs: number): Promise<Pace> {
  const took: number[] = []
  const begun = performance.now()
  const repeat = async (operation: () => Promise<unknown>): Promise<void> => {
    let now = performance.now()
    do {
      const before = now
      await operation()
      now = performance.now()
      took.push(now - before)
    } while (now - begun < forMs)
  }
  await Promise.all(callers.map(repeat))
  const seconds = (performance.now() - begun) / 1000
  return { perSecond: took.length / seconds, p99Ms: percentile(took, 0.99) }
}

/** The smallest of the numbers, at least one, that this share of them does not exceed. */
export function percentile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN
}
