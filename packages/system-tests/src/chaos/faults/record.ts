import { Queue } from 'bullmq'
import type { Fault } from '../fault.ts'
import type { Round } from '../round.ts'

const crowded = { load: { calls: 180, withinMs: 1000, sleepMs: [30, 120], deadlineMs: [10_000, 12_000] } } as const

/** BullMQ's own queue of a lane, as a person with a dashboard has it. */
function laneOf(round: Round, level: number): Queue {
  const queue = new Queue(`work~${level}`, { connection: { url: round.crew.redis.url }, prefix: round.prefix })
  round.onEnd(() => queue.close())
  return queue
}

const removed: Fault = {
  name: 'job-removed',
  about: 'Waiting jobs are removed by hand, of calls and of the calls that jobs make',
  ...crowded,
  serving: () => ({ slots: 2 }),
  explains: { call: ['RESULT_LOST'] },
  strike: async round => {
    const lanes = [laneOf(round, 1), laneOf(round, 2)]
    await round.untilBegun(5)
    for (let times = 0; times < 12; times += 1) {
      for (const lane of lanes) {
        const [job] = await lane.getWaiting(0, 0)
        // A worker may have taken it meanwhile.
        await job?.remove().then(
          () => round.struck(),
          () => {},
        )
      }
      await round.lasts(10, 60)
    }
  },
}

const obliterated: Fault = {
  name: 'queue-obliterated',
  about: "A lane's queue is obliterated by hand under load",
  ...crowded,
  explains: { call: ['RESULT_LOST'] },
  strike: async round => {
    const lane = laneOf(round, round.seed.integer(1, 2))
    await round.untilBegun(round.seed.integer(5, 30))
    await lane.obliterate({ force: true })
    round.struck()
  },
}

const notKept: Fault = {
  name: 'record-not-kept',
  about: 'Jobs leave no record (removeOnComplete: true), and the caller is cut off and stopped for moments',
  load: { removeOnComplete: 'always' },
  strike: async round => {
    const { proxy, process } = round.crew.caller
    await round.untilBegun(3)
    for (let times = round.seed.integer(2, 4); times > 0; times -= 1) {
      proxy.cut()
      await round.lasts(50, 200)
      process.kill('SIGSTOP')
      await round.lasts(50, 500)
      process.kill('SIGCONT')
      round.struck()
    }
  },
}

export const recordFaults: readonly Fault[] = [removed, obliterated, notKept]
