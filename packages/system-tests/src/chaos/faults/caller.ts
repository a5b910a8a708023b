import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from '../fault.ts'
import { rowsOf } from '../history.ts'
import { openJobs } from '../lanes.ts'
import { drawPlans } from '../plan.ts'

const paused: Fault = {
  name: 'caller-paused',
  about: "The caller's process is stopped (SIGSTOP) until all its calls are past their deadlines, and goes on",
  load: {
    calls: 40,
    withinMs: 0,
    sleepMs: [300, 900],
    deadlineMs: [3000, 4000],
    nested: 0,
    hurried: 0,
    removeOnComplete: 'some',
  },
  serving: () => ({ slots: 20 }),
  strike: async round => {
    const { process } = round.crew.caller
    await round.untilBegun(round.plans.length)
    process.kill('SIGSTOP')
    const ended = new Set(rowsOf(round.rows, 'ended').map(({ id }) => id))
    round.struck(round.plans.length - ended.size)
    await round.lasts(4200, 5200)
    process.kill('SIGCONT')
  },
}

/** A process is thought to live for so long after it was heard of. */
const leaseMs = 15_000

const killed: Fault = {
  name: 'caller-killed',
  about: 'A caller is killed (SIGKILL) while its jobs wait; workers that come after its lease must not start them',
  opensWorkers: false,
  load: { calls: 30, withinMs: 100, nested: 0, hurried: 0, deadlineMs: [60_000, 60_000] },
  strike: async round => {
    const { caller } = round.crew
    const jobs = round.plans.length
    await round.until(async () => (await openJobs(round.redis, round.prefix)).length === jobs, 'all jobs to wait')
    await round.kill(caller)
    round.struck(jobs)
    await sleep(leaseMs + 500)
    await Promise.all([round.openWorkers(), round.open(caller)])
    const others = drawPlans(round.seed, { ...round.load, withinMs: 500, deadlineMs: [6000, 8000] }, 'd')
    round.plans.push(...others)
    caller.call(others)
  },
}

export const callerFaults: readonly Fault[] = [paused, killed]
