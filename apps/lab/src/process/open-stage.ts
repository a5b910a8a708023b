import { createOutbox } from '@strata/consistency/outbox'
import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'
import { createQueues, createWorker, type WorkerHandle } from '@strata/queue'
import { MongoClient } from 'mongodb'
import type { ScenarioShape } from '../scenarios/scenario.ts'
import { Gates } from './gates.ts'
import { limitsOf, transactionMsOf } from './limits.ts'
import type { Opening } from './messages.ts'
import { type LabDocument, Stage, type StageReports } from './stage.ts'

export const collectionName = 'documents'

/** A stage, and what has to be stopped with it. */
export interface OpenStage {
  readonly stage: Stage
  /** Absent in a process that is the API only. */
  readonly worker: WorkerHandle | undefined
  stop(): Promise<void>
}

export interface StageChannel extends StageReports {
  gate(name: string): void
}

/** The longest that any part may take to stop, in milliseconds. */
const stopMs = 1500

/** Shorter than the product's, so that a run is: until another relays, and until rows are taken from a process that is gone. */
const relayPace = { leaseMs: 2000, graceMs: 1000, pollMs: 50 } as const

/** Opens one process's part of a run: datasource, context, queues and, where jobs run, a worker that is not started yet. */
export async function openStage(opening: Opening, scenario: ScenarioShape, channel: StageChannel): Promise<OpenStage> {
  const { settings, run, role } = opening
  const limits = limitsOf(settings, scenario)
  const datasource = mongoDatasource({
    name: 'lab',
    url: opening.mongoUrl,
    database: run,
    appName: run,
    pool: { max: settings.pool, timeoutMs: limits.waitMs },
    operationTimeoutMs: limits.waitMs,
  })
  const db = createDbContext({
    datasources: [datasource],
    levels: { max: settings.depth },
    isolation: settings.isolation,
    lockWaitMs: limits.lockWaitMs,
  })
  const redis = { url: opening.redisUrl, prefix: run }
  const outbox =
    scenario.followsCommits && settings.isolation === 'levels'
      ? createOutbox({ db, datasource, ...relayPace })
      : undefined
  const queues = createQueues({ db, redis, ...(outbox && { outbox }) })
  const worker = role === 'api' ? undefined : createWorker({ db, redis, lanes: { slots: settings.lanes } })
  const rawClient = new MongoClient(opening.mongoUrl, { appName: run, maxPoolSize: 2 })
  await Promise.all([db.start(), rawClient.connect()])
  const stage = new Stage({
    process: opening.process,
    settings,
    limits: { ...limits, transactionMs: await transactionMsOf(rawClient, limits.waitMs) },
    db,
    queues,
    datasource,
    outbox,
    documents: datasource.collection<LabDocument>(collectionName),
    rawClient,
    raw: rawClient.db(run).collection<LabDocument>(collectionName),
    gates: new Gates({ tell: name => channel.gate(name), waitMs: limits.waitMs }),
    report: channel,
  })
  const stop = async (): Promise<void> => {
    await stage.begun.disposeAsync()
    await worker?.stop({ deadlineMs: stopMs })
    await outbox?.stop({ deadlineMs: stopMs })
    await queues.stop({ deadlineMs: stopMs })
    await db.stop({ deadlineMs: stopMs })
    await rawClient.close()
  }
  return { stage, worker, stop }
}
