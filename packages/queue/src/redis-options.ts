import type { ClusterOptions, RedisOptions } from 'ioredis'

const reconnectMsFirst = 20
const reconnectMsMax = 1000

/** After a server has refused to write: the one that took over may not have been found yet. */
const readOnlyPauseMs = 250

const retryMs = (times: number): number => Math.min(reconnectMsFirst * 2 ** Math.min(times, 10), reconnectMsMax)

/**
 * What a connection needs to outlive its server: it tries on for as long as whoever waits on it does. A server that turns
 * read-only is not the master any more: the connection is made anew, which asks the sentinels or the service's name again, and
 * what was refused is sent again. Nothing of it was applied, since a replica writes nothing.
 */
export function patient(options: RedisOptions): RedisOptions {
  let wasReadOnly = false
  return {
    reconnectOnError: error => {
      if (!/\bREADONLY\b/.test(error.message)) return false
      wasReadOnly = true
      return 2
    },
    // Without it a master that sentinels have replaced, and that runs on, is written to until they make it a replica, 10 s later.
    ...(options.sentinels === undefined ? {} : { failoverDetector: true }),
    ...options,
    lazyConnect: true,
    // BullMQ refuses anything else on the connections that its workers block on.
    maxRetriesPerRequest: null,
    retryStrategy: times => {
      const pauseMs = wasReadOnly ? Math.max(readOnlyPauseMs, retryMs(times)) : retryMs(times)
      wasReadOnly = false
      return pauseMs
    },
  }
}

/**
 * The same for a cluster: ioredis gives a command up after 16 tries, 1.6 s, and a master that dies is replaced after its
 * `cluster-node-timeout` (15 s by default) and an election.
 */
export function patientCluster(options: ClusterOptions, redisOptions: RedisOptions): ClusterOptions {
  return {
    maxRedirections: Number.POSITIVE_INFINITY,
    // Two nodes that do not agree yet send a command to and fro as fast as the network is.
    retryDelayOnMoved: 20,
    ...options,
    // BullMQ refuses anything else; a command whose node is gone is sent to another all the same.
    redisOptions: { ...options.redisOptions, ...redisOptions, maxRetriesPerRequest: null },
    lazyConnect: true,
    clusterRetryStrategy: retryMs,
  }
}
