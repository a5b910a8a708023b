import { createDbContext, type DbContext, type DeclaredProcesses, type Isolation } from '@strata/db-context'
import { type Collections, createCollections, type DatasourceSettings, schoolCollections } from './collections.ts'
import type { Logger } from './log.ts'
import { observePools } from './pool-metrics.ts'
import { reporter } from './reporter.ts'

export interface SchoolSettings extends DatasourceSettings {
  readonly levelsMax: number
  readonly isolation: Isolation
  /** How many processes like this one are to fit into the servers beside the others. */
  readonly processes: DeclaredProcesses | undefined
}

/** The data of the school as one process sees it. */
export interface School extends Collections {
  readonly db: DbContext
  /** Opens the pools and creates what is missing. @throws what MongoDB is not reached with, CONNECTION_BUDGET */
  start(): Promise<void>
}

export function openSchool(settings: SchoolSettings, log: Logger): School {
  const collections = schoolCollections(settings)
  const db = createDbContext({
    datasources: [collections.datasource],
    levels: { max: settings.levelsMax },
    isolation: settings.isolation,
    ...(settings.processes ? { processes: settings.processes } : {}),
    report: reporter(log),
  })
  observePools(db)
  return {
    ...collections,
    db,
    start: async () => {
      if (settings.isolation === 'none') {
        log.warn(
          { isolation: 'none' },
          'UNSAFE: isolation is none, requests and jobs that wait for each other can deadlock',
        )
      }
      await db.start()
      await createCollections(collections.datasource)
    },
  }
}
