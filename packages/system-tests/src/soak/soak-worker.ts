import { createWorker } from '@strata/queue'
import { documents, step, type Tally } from './contract.ts'
import type { Place } from './messages.ts'
import type { Opened } from './opened.ts'
import { openParticipant } from './participant.ts'
import { depth } from './settings.ts'

/** Serves the steps: the deepest one writes, those above call, and read before it where the call is a full one. */
export async function openWorker(place: Place): Promise<Opened> {
  const { db, datasource, queues, call, stop } = await openParticipant(place)
  const { leakEvery = 0 } = place.settings
  const tallies = datasource.collection<Tally>('tallies')
  const worker = createWorker({ db, redis: place.redisUrl, lanes: { slots: 50 } })
  const kept: string[] = []
  let jobs = 0
  worker.handle(step, async input => {
    jobs += 1
    if (leakEvery > 0 && jobs % leakEvery === 0) kept.push(input.text)
    const { n, isFull } = input
    const { level } = db.current
    const _id = n % documents
    if (level === depth) {
      await tallies.updateOne({ _id }, { $inc: { count: 1 } })
      return { n, levels: [level] }
    }
    if (isFull) await tallies.findOne({ _id })
    const below = await call(input)
    return { n, levels: [level, ...below.levels] }
  })
  await worker.start()
  return {
    busy: () => worker.activities().length + queues.waiting().length,
    async stop() {
      await worker.stop()
      await stop()
    },
  }
}
