import { startRedis } from '@strata/testkit'
import { type Fault, shortLocks } from '../fault.ts'
import type { Round } from '../round.ts'

/** Connections come back within a second of the server's return, and BullMQ's fetchers try again after another. */
const noticeMs = 2500

/** The process behind the rig's Redis. @throws where the server came from a container */
function serverOf({ crew }: Round) {
  const [server] = crew.redis.members
  if (!server)
    throw new Error('This fault ends the Redis server itself and needs a program of its own: STRATA_REDIS=wheel')
  return server
}

async function endServer(round: Round, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  const { pid } = serverOf(round)
  await round.crew.redis.kill?.(signal)
  const isGone = () => {
    try {
      return !process.kill(pid, 0)
    } catch {
      return true
    }
  }
  await round.until(isGone, 'the Redis server to end')
}

async function restart(round: Round, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  await round.untilBegun(round.seed.integer(3, 30))
  const back = round.outage()
  await endServer(round, signal)
  await round.lasts(0, 500)
  await serverOf(round).restart()
  back(noticeMs)
  round.struck()
}

/** A handler whose lock ended in the outage is aborted, and with it the calls that it awaits: its job runs again. */
const lostLocks = { nested: ['CALL_ABORTED'] }

const killed: Fault = {
  name: 'redis-killed',
  about: 'Redis is killed (SIGKILL) and started again on its data',
  explains: lostLocks,
  serving: () => ({ stalled: shortLocks }),
  strike: round => restart(round, 'SIGKILL'),
}

const restarted: Fault = {
  name: 'redis-restarted',
  about: 'Redis is ended in order (SIGTERM) and started again on its data',
  explains: lostLocks,
  serving: () => ({ stalled: shortLocks }),
  strike: round => restart(round, 'SIGTERM'),
}

const failedOver: Fault = {
  name: 'redis-failed-over',
  about: 'The master is killed and its replica takes over; writes that it had not yet received are lost',
  explains: { call: ['RESULT_LOST', 'CALL_TIMEOUT', 'JOB_FAILED'] },
  serving: () => ({ stalled: shortLocks }),
  prepare: async round => {
    const replica = await startRedis({ private: true, report: () => {} })
    round.onEnd(() => replica.stop())
    const hand = round.connect(replica.url)
    await hand.replicaof('127.0.0.1', serverOf(round).port)
    const isInStep = async () => (await hand.info('replication')).includes('master_link_status:up')
    await round.until(isInStep, 'the replica to be in step')
    round.redis = hand
  },
  strike: async round => {
    const { members, redis } = round.crew
    const { host, port } = round.redis.options
    await round.untilBegun(round.seed.integer(3, 30))
    const back = round.outage()
    await endServer(round, 'SIGKILL')
    await round.lasts(0, 500)
    await round.redis.replicaof('NO', 'ONE')
    for (const { proxy } of members) proxy.retarget({ host: host ?? '', port: port ?? 0 })
    back(noticeMs)
    round.struck()
    round.onEnd(async () => {
      await serverOf(round).restart()
      for (const { proxy } of members) proxy.retarget(redis.url)
    })
  },
}

export const redisFaults: readonly Fault[] = [killed, restarted, failedOver]
