import { setTimeout as pause } from 'node:timers/promises'
import { defineJob } from '@strata/queue'
import { until } from '@strata/testkit'
import { z } from 'zod'
import type { Outcome } from '../outcome.ts'
import type { Stage } from '../process/stage.ts'
import type { Settings } from '../settings.ts'
import type { Scenario } from './scenario.ts'
import { allCompleted, counted } from './verdict.ts'

// Every root commits transactions of two inserts, one after the other, odd ones through a job; meanwhile the primary of three is
// killed. A root ends with a transaction that was begun after that and committed. No wait is at stake: shown is that
// what each transaction's end said is what the data say.

const gone = 'the primary is gone'
const failurePauseMs = 100
const outcomes = ['applied', 'notApplied', 'unknown'] as const
type Told = (typeof outcomes)[number]

const insert = defineJob({ name: 'failover.insert', input: z.object({ id: z.string() }), output: z.object({}) })
const parts = (id: string) => [`${id}-a`, `${id}-b`]

/** What every transaction's end said, by process; the check is made in the process that was told. */
const told = new Map<string, Told>()

async function insertBoth(stage: Stage, id: string): Promise<void> {
  await stage.transaction(async () => {
    for (const _id of parts(id)) await stage.documents.insertOne({ _id, writes: 1 })
  })
}

function toldBy(error: unknown): Told {
  const outcome = error instanceof Error && 'outcome' in error ? error.outcome : undefined
  if (outcome === 'applied') return 'applied'
  return outcome === 'not-applied' ? 'notApplied' : 'unknown'
}

async function oneOf(stage: Stage, root: number, id: string): Promise<Told> {
  try {
    const work = () => (root % 2 === 0 ? insertBoth(stage, id) : stage.call(insert, { id }).then(() => {}))
    await stage.unit(root, work)
    return 'applied'
  } catch (error) {
    return toldBy(error)
  }
}

async function commitUntilAfterTheKill(stage: Stage, root: number): Promise<void> {
  for (let number = 0; ; number += 1) {
    const isAfter = stage.gates.isOpen(gone)
    const id = `${root}-${number}`
    const end = await oneOf(stage, root, id)
    told.set(id, end)
    stage.count(end)
    if (end !== 'applied') await pause(failurePauseMs)
    else if (isAfter) return
  }
}

/** Whether the data are what the end of the transaction said. */
function isTrue(id: string, end: Told, there: ReadonlySet<string>): boolean {
  const found = parts(id).filter(part => there.has(part)).length
  if (end === 'applied') return found === 2
  return end === 'notApplied' ? found === 0 : found !== 1
}

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const false_ = counted(outcome, 'falseOutcomes')
  const wrong = [...allCompleted(outcome, settings)]
  if (false_ > 0) wrong.push(`${false_} transactions ended otherwise than they told`)
  return wrong
}

export const failover: Scenario = {
  name: 'failover',
  scarce: 'nothing',
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  counts: [...outcomes, 'falseOutcomes'],
  ownMongo: { members: 3 },
  strangersMayFail: true,
  refuse: ({ topology }) =>
    topology === 'load-balanced' ? 'behind a load balancer another server takes over unseen' : undefined,
  hazard: 'the primary is killed in mid-commit, and nobody knows what was applied (honest ends)',
  promise: () =>
    'all roots complete on another primary, with levels and without, and no transaction ends otherwise than it told',
  judge,
  work: (handlers, stage) => {
    handlers.handle(insert, async ({ id }) => {
      await insertBoth(stage, id)
      return {}
    })
  },
  beside: async stage => {
    const isInFullFlow = (): boolean => (stage.counts.get('applied') ?? 0) >= stage.settings.roots
    await until(isInFullFlow, { deadlineMs: stage.limits.waitMs, message: 'the first commits', everyMs: 1 })
    stage.report.kill('primary', gone)
  },
  root: commitUntilAfterTheKill,
  check: async stage => {
    const there = new Set((await stage.raw.find().toArray()).map(({ _id }) => _id))
    for (const [id, end] of told) stage.count('falseOutcomes', isTrue(id, end, there) ? 0 : 1)
  },
}
