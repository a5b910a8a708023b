/** What chance adds, as a share. */
const jitter = 0.25

/**
 * How long one waiter waits of what it may, in milliseconds: up to a quarter more, by chance. Two that wait for each other would
 * else both lose, at the same moment; so one nearly always has the time to see the other go.
 */
export const patienceMs = (lockWaitMs: number): number => lockWaitMs * (1 + jitter * Math.random())
