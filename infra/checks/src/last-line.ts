import { writeSync } from 'node:fs'
import type { Reporter, TestModule, Vitest } from 'vitest/node'

export interface Totals {
  passed: number
  failed: number
  skipped: number
}

/** Counts tests, and as one failure each whatever broke outside a test: a file that did not load, a hook. */
function count(modules: readonly TestModule[], unhandled: number): Totals {
  const totals = { passed: 0, failed: unhandled, skipped: 0 }
  for (const module of modules) {
    totals.failed += brokenIn(module)
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      // A pending test in a finished run was cut off, and must not read as green.
      totals[state === 'pending' ? 'failed' : state] += 1
    }
  }
  return totals
}

function brokenIn(module: TestModule): number {
  const suites = [...module.children.allSuites()].filter(suite => suite.errors().length > 0)
  return suites.length + (module.errors().length > 0 ? 1 : 0)
}

export function lastLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

/**
 * Ends the run's output with `N passed, N failed`, and makes a run that failed, broke off or ran no test at all
 * exit with 1. Written at exit: anything earlier is followed by vitest's own summary.
 */
export class LastLineReporter implements Reporter {
  // What a run that never comes to its end reports.
  #totals: Totals = { passed: 0, failed: 1, skipped: 0 }
  #mayBeEmpty = false

  onInit({ config }: Vitest): void {
    this.#mayBeEmpty = config.passWithNoTests === true
    process.once('exit', () => this.#write())
    // Whoever started the run holds the other end; without it (killed) nobody would end this process.
    process.once('disconnect', () => process.exit(1))
    process.channel?.unref()
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly unknown[], reason: string): void {
    this.#totals = count(modules, errors.length)
    if (reason === 'interrupted') this.#totals.failed += 1
  }

  #write(): void {
    const { passed, failed } = this.#totals
    if (failed > 0 || (passed === 0 && !this.#mayBeEmpty)) process.exitCode = 1
    writeSync(1, `${lastLine(this.#totals)}\n`)
  }
}
