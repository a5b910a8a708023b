import { createDbContext, type DbContext } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'
import { createQueues, type JobResult, type Queues } from '@strata/queue'
import { type StepInput, step, type Tally } from './contract.ts'
import type { Place } from './messages.ts'
import { depth, type SoakSettings } from './settings.ts'

export const database = 'soak'

const pool = { max: 8, serviceMax: 1 } as const

/** The part that a caller and a worker have in common. */
export interface Participant {
  readonly db: DbContext
  readonly datasource: MongoDatasource
  readonly queues: Queues
  /** Makes the next call of a chain. */
  call(input: StepInput): Promise<JobResult<typeof step>>
  /** The queues, then the database. */
  stop(): Promise<void>
}

export async function openParticipant({ mongoUrl, redisUrl, settings }: Place): Promise<Participant> {
  const datasource = mongoDatasource({ name: 'main', url: mongoUrl, database, pool })
  const db = createDbContext({ datasources: [datasource], levels: { max: 4 } })
  const queues = createQueues({ db, redis: redisUrl })
  await db.start()
  await fillPools(db, datasource)
  await queues.start()
  const options = keeping(settings)
  return {
    db,
    datasource,
    queues,
    call: input => queues.pushAsync(step, input, options),
    async stop() {
      await queues.stop()
      await db.stop()
    },
  }
}

/** Statements at once a level: so many that the driver opens all of a pool's connections to serve them. */
const statementsAtOnce = 400

/** Opens what a busy moment in the middle of the span would open: connections that come late look like a leak. */
async function fillPools(db: DbContext, datasource: MongoDatasource): Promise<void> {
  const tallies = datasource.collection<Tally>('tallies')
  const read = (level: number) => db.switchDb(() => tallies.findOne({ _id: 0 }), { level })
  for (let level = 0; level <= depth; level += 1) {
    await db.run(() => Promise.all(Array.from({ length: statementsAtOnce }, () => read(level))))
  }
}

const keeping = ({ recordsKept: count }: SoakSettings) => {
  const kept = { age: 3600, count }
  return { removeOnComplete: kept, removeOnFail: kept }
}
