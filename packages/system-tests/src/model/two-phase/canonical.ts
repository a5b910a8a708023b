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
  const current = passed === state.passed ? state : { ...state, passed }
  const isDropped = (write: Write): boolean => write.by === undefined && isDead(rules, current, write)
  const writes = state.writes.some(isDropped) ? state.writes.filter(write => !isDropped(write)) : state.writes
  const numbers = numbersOf(passed)
  const names: Names = {
    own: until => numbers[until] ?? 0,
    last: (until, part) => numbers[lastOpen(passed, until, part)] ?? 0,
    token: token => (token < 2 ? token : token === state.record?.token ? 3 : 2),
  }
  return {
    record:
      state.record &&
      withUntil({ ...state.record, token: names.token(state.record.token) }, names.last(state.record.until)),
    parts: mapped(state.parts, (part, number) => named(part, names, number)),
    writes: mapped(writes, write =>
      withUntil(write, write.step === 'apply' ? names.own(write.until) : names.last(write.until, write.part)),
    ),
    actors: mapped(state.actors, actor =>
      actor.state === undefined ? actor : inNames(rules, current, { actor, names }),
    ),
    passed: passed.length === 1 ? passed : passed.filter((_, number) => number === 0 || numbers[number] !== 0),
    wasApplied: state.wasApplied,
  }
}

/** What claims and deadlines are called from now on. */
interface Names {
  readonly own: (until: number) => number
  /** The last deadline up to this one that has not passed at a participant, or anywhere. */
  readonly last: (until: number, part?: number) => number
  readonly token: (token: number) => number
}

/** The same list where nothing of it changes: most states share most of their parts. */
function mapped<T>(list: readonly T[], change: (each: T, at: number) => T): readonly T[] {
  let isChanged = false
  const next = list.map((each, at) => {
    const other = change(each, at)
    if (other !== each) isChanged = true
    return other
  })
  return isChanged ? next : list
}

const withUntil = <T extends { readonly until: number }>(each: T, until: number): T =>
  each.until === until ? each : { ...each, until }

function named(part: Part, { last }: Names, number: number): Part {
  if (part.tombstoneOf === 0) return part
  const tombstoneOf = last(part.tombstoneOf, number)
  return tombstoneOf === part.tombstoneOf ? part : { ...part, tombstoneOf }
}

function inNames(
  rules: Rules,
  { record, passed }: State,
  { actor, names }: { readonly actor: Actor; readonly names: Names },
): Actor {
  const isPending = actor.state === 'pending'
  const until = isPending ? names.own(actor.until) : names.last(actor.until)
  const token = names.token(actor.token)
  if (!isLost(rules, record, actor))
    return token === actor.token && until === actor.until ? actor : { ...actor, token, until }
  // Nothing that it knows leads to anything, and it sends again only where it may.
  const isOver = (part: number): boolean =>
    isPending && rules.steps.apply.checksDeadline && passed[actor.until]?.[part] === true
  const parts = actor.parts.map((each, part): Progress => {
    if (each === 'sent') return each
    return each === 'unanswered' && actor.phase === 'working' && !isOver(part) ? each : 'confirmed'
  })
  if (parts.every(each => each === 'confirmed')) return idle
  return { ...actor, until, parts, ...(isPending ? { token: 2, applied: unused } : { token }) }
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

function lastOpen(passed: Passed, until: number, part?: number): number {
  for (let number = until; number > 0; number--) {
    if (part === undefined ? passed[number]?.includes(false) : passed[number]?.[part] === false) return number
  }
  return 0
}
