import { type Counts, countKinds } from '../tally.ts'
import { type Breach, breachKinds } from './checker.ts'
import { duplicatesOf, type OutboxHistory } from './history.ts'

/** What a round has shown, for the table of the outbox's page. */
export function figuresOf(history: OutboxHistory, breaches: readonly Breach[], strikes: number): Counts {
  const { kept, sent, runs, lostByRedis } = history
  return {
    rounds: 1,
    kills: strikes,
    'pushes committed': kept.length,
    sent: new Set(sent.map(({ job }) => job)).size,
    'sent again': duplicatesOf(history),
    'run again': [...runs.values()].reduce((sum, times) => sum + times - 1, 0),
    'lost by Redis': lostByRedis?.size ?? 0,
    ...countKinds(breachKinds, breaches),
  }
}
