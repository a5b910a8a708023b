import type { Redis } from 'ioredis'
import { late, within } from './bound.ts'

/** What is still to be told to Redis at the end of a stop is not worth a longer wait. */
const answerMsMax = 400

/** Whether Redis answers now. False for a connection that is away, or open on this side only. */
export async function answersNow(client: Redis): Promise<boolean> {
  if (client.status !== 'ready') return false
  const answer = await within(answerMsMax, client.ping()).catch(() => late)
  return answer !== late
}
