import type { TransactionFault } from '../fault.ts'
import type { Load } from '../plan.ts'
import type { Round } from '../round.ts'

/** Some end before there is a new primary, which takes 3 to 5 s. */
const load: Partial<Load> = { transactions: 40, callers: 6, deadlineMs: [20_000, 25_000], hurried: 25 }

/** Without a server to ask until the deadline, a commit is in doubt and a body is cut off; three more runs may all meet the
 * election, and the time that it takes counts as waiting for a document where one was waited for before. */
const explains = {
  any: ['RETRIES_EXHAUSTED', 'LOCK_TIMEOUT'],
  hurried: ['COMMIT_UNKNOWN', 'TRANSACTION_TIMEOUT', 'DEADLINE_EXCEEDED', 'CALL_ABORTED'],
}

async function killPrimary(round: Round): Promise<void> {
  const primary = await round.rig.primary()
  primary.kill('SIGKILL')
  round.struck()
  round.onEnd(async () => {
    await primary.restart()
    await round.rig.untilSettled()
  })
}

export const primaryFaults: readonly TransactionFault[] = [
  {
    name: 'commit-rolled-back',
    about: 'The primary of three has commits that no other has received, and is killed (SIGKILL): they are rolled back',
    members: 3,
    load,
    explains,
    strike: async round => {
      await round.untilBodies(round.seed.integer(2, 20))
      const resume = await round.rig.stopReplication()
      try {
        await round.untilCommittedAlone()
        await killPrimary(round)
      } finally {
        await resume()
      }
    },
  },
  {
    name: 'primary-killed',
    about: 'The primary of three is killed (SIGKILL) while commits are under way',
    members: 3,
    load,
    explains,
    strike: async round => {
      await round.untilBodies(round.seed.integer(2, 20))
      await round.lasts(0, 8)
      await killPrimary(round)
    },
  },
  {
    name: 'primary-stepped-down',
    about: 'The primary of three steps down while commits are under way, with or without a word to the others',
    members: 3,
    load,
    explains,
    strike: async round => {
      await round.untilBodies(round.seed.integer(2, 20))
      await round.lasts(0, 8)
      await round.rig.stepDown(round.seed.integer(0, 1) === 1)
      round.struck()
      round.onEnd(() => round.rig.untilSettled())
    },
  },
]
