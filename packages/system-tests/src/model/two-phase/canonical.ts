import type { Rules } from './rules.ts'
import { isLost } from './servers.ts'
import { type Actor, type Answer, idle, type Part, type Progress, partsCount, type State, type Write } from './state.ts'

const unused = Array.from({ length: partsCount }, (): Answer => 'none')

type Passed = State['passed']

/**
 * The state without what cannot matter any more, so that states that go on alike are the same: deadlines that nothing depends on,
 * writes that nothing can make match, the numbers of old claims and deadlines, of which only the order counts.
 */
export function canonical(rules: Rules, state: State): State {
  const passed = settled(state)
  const isDropped = (write: Write): boolean => write.by === undefined && isDead(rules, { ...state, passed }, write)
  const kept = state.writes.some(isDropped) ? state.writes.filter(write => !isDropped(write)) : state.writes
  const numbers = numbersOf(passed)
  const last = (until: number, part?: number): number => numbers[lastOpen(passed, until, part)] ?? 0
  const { record } = state
  const isOver = (until: number, part: number) => rules.steps.apply.checksDeadline && passed[until]?.[part] === true
  const tokenOf = (token: number): number => (token < 2 ? token : token === record?.token ? 3 : 2)
  const inNumbers = (actor: Actor): Actor => {
    if (actor.state === undefined) return actor
    const isPending = actor.state === 'pending'
    const until = isPending ? (numbers[actor.until] ?? 0) : last(actor.until)
    const token = tokenOf(actor.token)
    if (!isLost(rules, record, actor)) return { ...actor, token, until }
    const parts = actor.parts.map((each, part): Progress => {
      if (each === 'sent') return each
      const isOpen = each === 'unanswered' && actor.phase === 'working' && !(isPending && isOver(actor.until, part))
      return isOpen ? each : 'confirmed'
    })
    if (parts.every(each => each === 'confirmed')) return idle
    return { ...actor, until, parts, ...(isPending ? { token: 2, applied: unused } : { token }) }
  }
  return {
    ...state,
    passed: passed.filter((_, number) => number === 0 || numbers[number] !== 0),
    record: record && { ...record, token: tokenOf(record.token), until: last(record.until) },
    actors: state.actors.map(inNumbers),
    parts: state.parts.map((part: Part, number) =>
      part.tombstone === 'none' ? part : { ...part, tombstoneOf: last(part.tombstoneOf, number) },
    ),
    writes: kept.map(write => ({
      ...write,
      until: write.step === 'apply' ? (numbers[write.until] ?? 0) : last(write.until, write.part),
    })),
  }
}

/** Whether it will not match any more, whatever else comes. */
function isDead({ steps }: Rules, { record, parts, passed }: State, { step, part, until }: Write): boolean {
  if (!steps.apply.checksDeadline) return false
  if (step === 'apply') return passed[until]?.[part] === true
  if (step === 'clear' || !steps[step].needsEntry || parts[part]?.hasEntry) return false
  return (
    record !== undefined && record.state !== 'initial' && record.state !== 'pending' && passed.every(row => row[part])
  )
}

/** With all deadlines passed that no write depends on: nobody has sent an `apply` that they would refuse, and nobody will. */
function settled({ actors, writes, passed }: State): Passed {
  const isSettled = (number: number, part: number): boolean =>
    !actors.some(each => each.state === 'pending' && each.until === number) &&
    !writes.some(each => each.until === number && each.part === part && each.step === 'apply')
  if (!passed.some((row, number) => row.some((each, part) => !each && isSettled(number, part)))) return passed
  return passed.map((row, number) => row.map((each, part) => each || isSettled(number, part)))
}

/** By its number, the new one of each deadline that has not passed everywhere; 0 for the others. */
function numbersOf(passed: Passed): number[] {
  let count = 0
  return passed.map(row => {
    if (row.every(Boolean)) return 0
    count += 1
    return count
  })
}

/** The last deadline up to this one that has not passed at a participant, or anywhere. */
function lastOpen(passed: Passed, until: number, part?: number): number {
  for (let number = until; number > 0; number--) {
    if (part === undefined ? passed[number]?.includes(false) : passed[number]?.[part] === false) return number
  }
  return 0
}
