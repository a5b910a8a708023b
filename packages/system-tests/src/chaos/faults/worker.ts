import { type Fault, shortLocks } from '../fault.ts'
import { rowsOf } from '../history.ts'
import { expectedCodes, pausedCode } from '../plan.ts'
import type { Round } from '../round.ts'
import type { HoldPoint } from '../work.ts'

const taken = { load: { withinMs: 800, sleepMs: [0, 300], deadlineMs: [30_000, 32_000] } } as const

/** Kills the worker that took the job which both were told to hold, with all else that it runs. */
async function killHolder(round: Round): Promise<void> {
  const { workers } = round.crew
  const reached = workers.map(worker => worker.reached(round.prefix).then(() => worker))
  for (const each of reached) each.catch(() => {})
  const worker = await Promise.any(reached)
  round.struck(Math.max(1, round.running(worker).length))
  await round.kill(worker)
  for (const other of workers) if (other !== worker) other.release()
}

function killed(point: HoldPoint, about: string): Fault {
  return {
    name: `worker-killed-${point}`,
    about,
    ...taken,
    serving: isWhole => (isWhole ? {} : { stalled: shortLocks }),
    takesOver: true,
    prepare: async round => {
      const plain = round.plans.filter(plan => !plan.child && expectedCodes(plan).length === 0)
      const target = plain[round.seed.integer(0, plain.length - 1)]
      await Promise.all(round.crew.workers.map(worker => worker.hold({ point, id: target?.id ?? '' })))
    },
    strike: killHolder,
  }
}

/** Resolves when the first worker runs something. */
async function untilRuns(round: Round): Promise<string[]> {
  const [worker] = round.crew.workers
  const running = () => {
    const ids = round.running(worker)
    return ids.length > 0 && ids
  }
  return (await round.until(running, 'the worker to run jobs')) || []
}

const paused: Fault = {
  name: 'worker-paused',
  about: 'A worker is stopped (SIGSTOP) for longer than its locks last, its jobs run again elsewhere, and it goes on',
  load: { sleepMs: [50, 400], deadlineMs: [10_000, 12_000], mindsPauses: true },
  serving: () => ({ stalled: { lockDurationMs: 1500, stalledIntervalMs: 500, maxStalledCount: 3 } }),
  // Where nobody has taken the job over, the interrupted run is the last.
  explains: { call: [pausedCode] },
  strike: async round => {
    const [worker] = round.crew.workers
    await round.untilBegun(round.seed.integer(10, 40))
    await untilRuns(round)
    worker.process.kill('SIGSTOP')
    const running = new Set(round.running(worker))
    round.struck(running.size)
    if (round.seed.integer(0, 1) === 0) {
      // It comes back in the middle of the other's run.
      const isTakenOver = () => rowsOf(round.rows, 'begun').some(({ id, attempt }) => attempt > 1 && running.has(id))
      await round.until(isTakenOver, 'a job to run again', 10_000)
    } else await round.lasts(1600, 4000)
    worker.process.kill('SIGCONT')
  },
}

const stalledTooOften: Fault = {
  name: 'job-stalled-too-often',
  about: 'A worker is killed and BullMQ may not run stalled jobs again: it fails them by itself',
  load: { sleepMs: [50, 300], deadlineMs: [10_000, 12_000] },
  serving: () => ({ stalled: { lockDurationMs: 1500, stalledIntervalMs: 500, maxStalledCount: 0 } }),
  explains: { call: ['JOB_FAILED'] },
  strike: async round => {
    const [worker] = round.crew.workers
    await round.untilBegun(round.seed.integer(10, 40))
    round.struck((await untilRuns(round)).length)
    await round.kill(worker)
  },
}

const stopped: Fault = {
  name: 'worker-stopped',
  about: 'A worker is told to end (SIGTERM) under full load; what it cannot end in time it hands back',
  load: { calls: 200, withinMs: 800, sleepMs: [20, 300], deadlineMs: [15_000, 16_000] },
  serving: () => ({ slots: 4, stopMs: 250 }),
  // A job that is handed back gives its own call up.
  explains: { nested: ['CALL_ABORTED'] },
  strike: async round => {
    const [worker] = round.crew.workers
    await round.untilBegun(round.seed.integer(10, 40))
    round.struck((await untilRuns(round)).length)
    worker.process.kill('SIGTERM')
    const { code, signal } = await worker.exited()
    if (code !== 0) throw new Error(`A worker that was told to end ended with ${signal ?? code}`)
  },
}

export const workerFaults: readonly Fault[] = [
  killed('before', 'A worker is killed (SIGKILL) after it took a job and before the handler begins'),
  killed('during', 'A worker is killed (SIGKILL) while its handlers run'),
  killed('after', 'A worker is killed (SIGKILL) after a handler has applied and before it answers'),
  paused,
  stalledTooOften,
  stopped,
]
