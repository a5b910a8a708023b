import { heldSum, type Outcome, type StrangersEnd } from '../outcome.ts'
import { isIsolated, type ScenarioShape } from '../scenarios/scenario.ts'
import type { Settings } from '../settings.ts'

/** How a stranger that breaks the rule about documents may end: told, with nothing applied. */
const codesOfBlocked = ['LOCK_TIMEOUT']

/**
 * Every way in which a run leaves behind what no scenario may: where no root hangs, nothing is held at its end, and with levels
 * whoever went on beside the roots has ended, well or as work that other work blocks may.
 */
export function aftermath(outcome: Outcome, settings: Settings, scenario: ScenarioShape): readonly string[] {
  const { hung, strangers, held } = outcome
  if (hung > 0 || (settings.strangers > 0 && !isIsolated(settings))) return []
  const wrong = strangers === undefined ? [] : [...strangersWrong(strangers, scenario)]
  if (heldSum(held) > 0) wrong.push(`nothing was to be held at the end: ${describe(held)}`)
  return wrong
}

function strangersWrong({ symptoms, unfinished }: StrangersEnd, { strangersMayFail }: ScenarioShape): string[] {
  const wrong = unfinished === 0 ? [] : [`${unfinished} strangers had not ended`]
  if (strangersMayFail) return wrong
  const others = Object.entries(symptoms).filter(([code]) => !codesOfBlocked.includes(code))
  return [...wrong, ...others.map(([code, count]) => `${count} rounds of strangers failed with ${code}`)]
}

const describe = (counts: object): string =>
  Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')
