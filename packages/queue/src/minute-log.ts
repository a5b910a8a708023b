import type { Report } from './report.ts'

const minuteMs = 60_000
const kindsMax = 100

/** Reports what may come in floods once a minute and kind, with the number that was not told meanwhile. */
export class MinuteLog {
  readonly #report: Report
  readonly #kinds = new Map<string, { since: number; untold: number }>()

  constructor(report: Report) {
    this.#report = report
  }

  note(kind: string, error: unknown, what: string): void {
    const now = performance.now()
    const known = this.#kinds.get(kind)
    if (known && now - known.since < minuteMs) {
      known.untold += 1
      return
    }
    if (this.#kinds.size >= kindsMax) this.#kinds.clear()
    this.#kinds.set(kind, { since: now, untold: 0 })
    this.#report(error, known?.untold ? `${what} (${known.untold} more like it in the last minute)` : what)
  }
}
