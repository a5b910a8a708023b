import type { Outcome } from '../outcome.ts'
import type { Settings } from '../settings.ts'

/** A typed refusal has to come at once, not at the end of some wait. */
const refusalMsLimit = 100

/** Every way in which not all roots completed. */
export function allCompleted(outcome: Outcome, { roots }: Settings): readonly string[] {
  if (outcome.completed === roots) return []
  return [`all ${roots} roots were to complete: ${describe(outcome)}`]
}

/** Every way in which this is not a hang, wholly in waits of one kind. */
export function someHungIn(code: string, outcome: Outcome): readonly string[] {
  const wrong: string[] = []
  if (outcome.hung === 0) wrong.push(`some roots were to hang in ${code}: ${describe(outcome)}`)
  if (outcome.failed > 0) wrong.push(`no root was to fail: ${describe(outcome)}`)
  const others = outcome.hung - (outcome.symptoms[code] ?? 0)
  if (others > 0) wrong.push(`${others} roots hang elsewhere than in ${code}: ${describe(outcome)}`)
  return wrong
}

/** Every way in which this is not a hang of all roots in waits of one kind, or of these kinds. */
export function allHungIn(code: string | readonly string[], outcome: Outcome, { roots }: Settings): readonly string[] {
  const codes = [code].flat()
  const { hung, symptoms } = outcome
  const expected = codes.reduce((sum, each) => sum + (symptoms[each] ?? 0), 0)
  if (hung === roots && expected === roots) return []
  return [`all ${roots} roots were to hang in ${codes.join(' or ')}: ${describe(outcome)}`]
}

/** Every way in which this is not a refusal of all roots under one code, within the limit. */
export function allRefused(
  code: string,
  outcome: Outcome,
  { roots }: Settings,
  limitMs = refusalMsLimit,
): readonly string[] {
  const wrong: string[] = []
  if (outcome.failed !== roots || outcome.symptoms[code] !== roots) {
    wrong.push(`all ${roots} roots were to fail with ${code}: ${describe(outcome)}`)
  }
  const slowest = outcome.refusalMsMax
  if (slowest === undefined) wrong.push('no call was seen to be refused')
  else if (slowest > limitMs) wrong.push(`a refusal took ${slowest} ms, the limit is ${limitMs} ms`)
  return wrong
}

/** The count of this name. */
export const counted = ({ counts }: Outcome, name: string): number => counts?.[name] ?? 0

function describe({ completed, failed, hung, symptoms }: Outcome): string {
  const codes = Object.entries(symptoms).map(([code, count]) => `${count} ${code}`)
  const detail = codes.length === 0 ? '' : ` (${codes.join(', ')})`
  return `${completed} completed, ${failed} failed, ${hung} hung${detail}`
}
