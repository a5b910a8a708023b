import type { Seed } from '@strata/testkit'

/** A call as the rig orders it from a process. */
export interface CallPlan {
  readonly id: string
  /** After the order, in milliseconds. */
  readonly atMs: number
  readonly deadlineMs: number
  /** What its handler does: applies a part and calls its child if it has one, sleeps, applies, and returns so many bytes. */
  readonly sleepMs: number
  readonly bytes: number
  readonly removeOnComplete: boolean
  /** The handler refuses it instead of applying it. */
  readonly isRefused: boolean
  /** The handler refuses it when its sleep took far too long, as work does that has a deadline of its own. */
  readonly mindsPauses: boolean
  readonly child?: CallPlan | undefined
}

/** A range, both ends included. */
export type Range = readonly [min: number, max: number]

/** What the calls of a fault look like. */
export interface Load {
  readonly calls: number
  /** They are made within this, evenly drawn. */
  readonly withinMs: number
  readonly deadlineMs: Range
  readonly sleepMs: Range
  readonly bytesMax: number
  /** Of a hundred calls: how many make a call of their own, have a deadline they may miss, are refused by the handler. */
  readonly nested: number
  readonly hurried: number
  readonly refused: number
  readonly removeOnComplete: 'never' | 'some' | 'always'
  readonly mindsPauses: boolean
}

export const loadDefault: Load = {
  calls: 150,
  withinMs: 1800,
  deadlineMs: [6000, 8000],
  sleepMs: [0, 80],
  bytesMax: 20_000,
  nested: 30,
  hurried: 8,
  refused: 8,
  removeOnComplete: 'never',
  mindsPauses: false,
}

/** A deadline that the call may miss without any fault. */
const hurriedMs: Range = [50, 600]

/** What an expired call can be told: by its own clock, its worker's, or its child's. */
const timeouts = ['CALL_TIMEOUT', 'CALL_EXPIRED', 'DEADLINE_EXCEEDED']

export const refusedCode = 'CHAOS_REFUSED'
export const pausedCode = 'CHAOS_PAUSED'

const draw = (seed: Seed, [min, max]: Range) => seed.integer(min, max)
const chance = (seed: Seed, percent: number) => seed.integer(1, 100) <= percent

/** Draws the calls of a round; ids begin with `name`. */
export function drawPlans(seed: Seed, load: Load, name = 'c'): CallPlan[] {
  return Array.from({ length: load.calls }, (_, index) => {
    const plan = drawPlan(seed, load, `${name}${index}`)
    if (!chance(seed, load.nested) || isHurried(plan)) return plan
    return { ...plan, child: { ...drawPlan(seed, { ...load, hurried: 0 }, `${plan.id}.child`), atMs: 0 } }
  })
}

function drawPlan(seed: Seed, load: Load, id: string): CallPlan {
  const { removeOnComplete } = load
  return {
    id,
    atMs: seed.integer(0, load.withinMs),
    deadlineMs: draw(seed, chance(seed, load.hurried) ? hurriedMs : load.deadlineMs),
    sleepMs: draw(seed, load.sleepMs),
    bytes: seed.integer(0, load.bytesMax),
    removeOnComplete: removeOnComplete === 'always' || (removeOnComplete === 'some' && chance(seed, 50)),
    isRefused: chance(seed, load.refused),
    mindsPauses: load.mindsPauses,
  }
}

const isHurried = ({ deadlineMs }: CallPlan) => deadlineMs <= hurriedMs[1]

/** The codes with which a call may end although nothing is broken; a refused child refuses its parent. */
export function expectedCodes(plan: CallPlan): string[] {
  return [...(plan.isRefused || plan.child?.isRefused ? [refusedCode] : []), ...(isHurried(plan) ? timeouts : [])]
}
