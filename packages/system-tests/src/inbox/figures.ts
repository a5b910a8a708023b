import { type Counts, countKinds } from '../tally.ts'
import { type Breach, breachKinds } from './checker.ts'
import type { InboxHistory } from './history.ts'

/** What a round has shown, for the table of the inbox's page. */
export function figuresOf(history: InboxHistory, breaches: readonly Breach[]): Counts {
  const { messages, effects, told, runsAfter } = history
  const answered = told.filter(each => 'stamp' in each)
  return {
    rounds: 1,
    messages: messages.length,
    deliveries: told.length,
    effects: effects.length,
    'told again': answered.length - new Set(answered.map(({ message }) => message)).size,
    'run afterwards': runsAfter,
    ...countKinds(breachKinds, breaches),
  }
}
