import { defineJob } from '@strata/queue'
import { until } from '@strata/testkit'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { type Process, useStage } from './stage.ts'

const shape = { input: z.object({ n: z.number() }), output: z.number() }
const known = defineJob({ name: 'known', queue: 'served', ...shape })
const unknown = defineJob({ name: 'unknown', queue: 'served', ...shape })
const elsewhere = defineJob({ name: 'elsewhere', queue: 'unserved', ...shape })

const stage = useStage()

const push = ({ db, queues }: Process, job: typeof known, options: { key?: string; ordered?: boolean } = {}) =>
  db.run(() => db.transaction.begin(() => queues.push(job, { n: 1 }, options)))

/** A process that commits and leaves the publishing to another one, which relays and knows one of the jobs. */
async function begin() {
  const committing = await stage.process()
  await committing.outbox.stop()
  const relaying = await stage.process({ graceMs: 0, pollMs: 50 })
  const worker = relaying.worker()
  const handled: number[] = []
  worker.handle(known, async ({ n }) => handled.push(n))
  await worker.start()
  relaying.outbox.start()
  return { committing, relaying, untilHandled: (count: number) => untilLength(handled, count) }
}

const untilLength = (list: readonly unknown[], count: number) =>
  until(() => list.length >= count, { deadlineMs: 30_000, message: `${count} jobs to be handled` })

test('a job that no worker has a handler for ends in a typed error, and holds up neither the relay nor its own key', async () => {
  const { committing, relaying, untilHandled } = await begin()
  const strange = await push(committing, unknown, { key: 'k', ordered: true })
  const result = strange.result({ deadlineMs: 40_000 }).catch((thrown: unknown) => thrown)
  await push(committing, known, { key: 'k', ordered: true })
  await push(committing, known)
  // The one without a key does not wait for it; the one behind it does, until it has failed for good.
  await untilHandled(1)
  expect(await result).toMatchObject({
    code: 'HANDLER_MISSING',
    outcome: 'not-applied',
    transient: true,
    details: { queue: 'served', job: 'unknown', id: strange.id },
  })
  await untilHandled(2)
  await relaying.outbox.flush()
  expect(await relaying.outbox.backlog()).toMatchObject({ depth: 0, setAside: 0 })
  const record = await relaying.queues.queue(unknown).getJob(strange.id)
  expect([await record?.getState(), record?.attemptsMade]).toEqual(['failed', 1])
}, 60_000)

test('a job of a queue that nobody serves waits for a worker, and only who waits for its result is told', async () => {
  const { committing, relaying, untilHandled } = await begin()
  const waiting = await push(committing, elsewhere)
  await push(committing, known)
  await untilHandled(1)
  await expect(waiting.result({ deadlineMs: 500 })).rejects.toMatchObject({ code: 'CALL_TIMEOUT', outcome: 'unknown' })
  const later = relaying.worker()
  later.handle(elsewhere, async ({ n }) => n)
  await later.start()
  expect(await waiting.result({ deadlineMs: 20_000 })).toBe(1)
}, 60_000)
