import { createDbContext, type DbContext } from '@strata/db-context'
import { type MongoDatasource, mongoDatasource } from '@strata/mongo'
import { createQueues, type JobResult, type Queues } from '@strata/queue'
import { type StepInput, step } from './contract.ts'
import type { Place } from './messages.ts'
import type { SoakSettings } from './settings.ts'

export const database = 'soak'

/** Small, so that the warm-up opens all of them and a later one is a leak. */
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

const keeping = ({ recordsKept: count }: SoakSettings) => {
  const kept = { age: 3600, count }
  return { removeOnComplete: kept, removeOnFail: kept }
}
