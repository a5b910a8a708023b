import type { GivenUp } from './given-up.ts'

/** Far longer than a job is on its way from Redis to its run here. */
const keptMs = 10_000

/** What was told of jobs that may not have arrived here yet. Only that of the last seconds. */
export class RecentlyGivenUp {
  readonly #byName = new Map<string, { readonly givenUp: GivenUp; readonly since: number }>()

  add(givenUp: GivenUp): void {
    const now = performance.now()
    for (const [name, { since }] of this.#byName) {
      if (now - since < keptMs) break
      this.#byName.delete(name)
    }
    const { callId, job } = givenUp
    for (const name of job ? [callId, `${job.lane} ${job.id}`] : [callId]) {
      this.#byName.delete(name)
      this.#byName.set(name, { givenUp, since: now })
    }
  }

  has(run: { readonly names: readonly string[]; isOf(givenUp: GivenUp): boolean }): boolean {
    return run.names.some(name => {
      const known = this.#byName.get(name)
      return known !== undefined && run.isOf(known.givenUp)
    })
  }
}
