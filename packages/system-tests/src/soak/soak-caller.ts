import { randomBytes } from 'node:crypto'
import { documents, type Tally } from './contract.ts'
import { Load } from './load.ts'
import type { Place } from './messages.ts'
import type { Opened } from './opened.ts'
import { openParticipant } from './participant.ts'
import { depth } from './settings.ts'

/** One root call in so many is full: it holds a transaction, which has written, while it waits, and reads at every level. */
const fullEvery = 20

const levels = Array.from({ length: depth }, (_, index) => index + 1).join()

/** Sends the root calls, and checks that each one gets its own result from every level. */
export async function openCaller(place: Place): Promise<Opened> {
  const { db, datasource, queues, call, stop } = await openParticipant(place)
  const { payloadBytes } = place.settings
  const requests = datasource.collection<Tally>('requests')

  async function root(n: number, isInBurst: boolean): Promise<void> {
    const isFull = isInBurst || n % fullEvery === 0
    const input = { n, isFull, text: randomBytes(payloadBytes / 2).toString('hex') }
    const inside = async () => {
      await requests.updateOne({ _id: n % documents }, { $inc: { count: 1 } })
      return await call(input)
    }
    const got = await db.run(() => (isFull ? db.transaction.begin(inside) : call(input)))
    if (got.n !== n || got.levels.join() !== levels) {
      throw Object.assign(new Error(`Call ${n} got ${JSON.stringify(got)}`), { code: 'WRONG_RESULT' })
    }
  }

  return { load: new Load(place.settings, root), busy: () => queues.waiting().length, stop }
}
