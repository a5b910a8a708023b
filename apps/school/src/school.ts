import { createOutbox, type Outbox } from '@strata/consistency/outbox'
import { createDbContext, type DbContext, type DeclaredProcesses, type Isolation } from '@strata/db-context'
import { type Collections, createCollections, type DatasourceSettings, schoolCollections } from './collections.ts'
import type { Logger } from './log.ts'
import { observePools } from './pool-metrics.ts'
import { reporter } from './reporter.ts'
import { openTransfers, type Transfers } from './transfers.ts'

export interface SchoolSettings extends DatasourceSettings {
  readonly levelsMax: number
  readonly isolation: Isolation
  /** How many processes like this one are to fit into the servers beside the others. */
  readonly processes: DeclaredProcesses | undefined
}

/** The data of the school as one process sees it. */
export interface School extends Collections {
  readonly db: DbContext
  /** Keeps what transactions push; for `createQueues`. */
  readonly outbox: Outbox
  readonly transfers: Transfers
  /** Opens the pools and creates what is missing, indexes too. @throws what MongoDB is not reached with, CONNECTION_BUDGET */
  start(): Promise<void>
}

export function openSchool(settings: SchoolSettings, log: Logger): School {
  const collections = schoolCollections(settings)
  const { datasource } = collections
  const report = reporter(log)
  const db = createDbContext({
    datasources: [datasource],
    levels: { max: settings.levelsMax },
    isolation: settings.isolation,
    ...(settings.processes ? { processes: settings.processes } : {}),
    report,
  })
  const outbox = createOutbox({ db, datasource, report })
  const transfers = openTransfers(db, collections, log)
  observePools(db)
  return {
    ...collections,
    db,
    outbox,
    transfers,
    start: async () => {
      if (settings.isolation === 'none') {
        log.warn(
          { isolation: 'none' },
          'UNSAFE: isolation is none, requests and jobs that wait for each other can deadlock',
        )
      }
      await db.start()
      await createCollections(datasource)
      await outbox.ensureIndexes()
      await transfers.commits.ensureIndexes()
    },
  }
}
