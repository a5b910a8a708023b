import type { Member } from '../crew.ts'
import { type Fault, shortLocks } from '../fault.ts'
import type { Round } from '../round.ts'

/** A connection that says nothing is looked at every 5 s and given 3 s to answer; and a moment to come back. */
const noticeMs = 8500

const cut: Fault = {
  name: 'connection-cut',
  about: 'Connections of the caller and of the workers are cut, several times',
  // A job whose taking was cut off belongs to nobody until its lock ends.
  serving: () => ({ stalled: shortLocks }),
  strike: async round => {
    await round.untilBegun(3)
    for (let times = round.seed.integer(3, 6); times > 0; times -= 1) {
      const { proxy } = round.crew.members[round.seed.integer(0, 2)] ?? round.crew.caller
      round.struck(proxy.connections.length)
      proxy.cut()
      await round.lasts(30, 300)
    }
  },
}

/** The other end is gone and does not say so: nothing comes, nothing is refused. New connections work. */
async function silence(round: Round, members: readonly Member[]): Promise<void> {
  await round.untilBegun(round.seed.integer(3, 15))
  const connections = members.flatMap(({ proxy }) => [...proxy.connections])
  round.outage()(noticeMs)
  for (const connection of connections) connection.blackhole()
  await round.until(() => connections.some(({ lostBytes }) => lostBytes() > 0), 'bytes to get lost')
  round.struck(connections.length)
}

const callerHalfOpen: Fault = {
  name: 'caller-half-open',
  about: "The caller's connections stay open and carry nothing any more",
  load: { deadlineMs: [11_000, 13_000], hurried: 30 },
  strike: round => silence(round, [round.crew.caller]),
}

const workerHalfOpen: Fault = {
  name: 'worker-half-open',
  about: 'The connections of one worker, or of both, stay open and carry nothing any more',
  load: { deadlineMs: [20_000, 22_000] },
  // A lane that opened as its worker fell silent was never announced: its calls are given back as not served.
  explains: { call: ['LANE_UNSERVED'] },
  strike: round => silence(round, round.crew.workers.slice(0, round.seed.integer(1, 2))),
}

export const connectionFaults: readonly Fault[] = [cut, callerHalfOpen, workerHalfOpen]
