import { metrics } from '@opentelemetry/api'
import type { DbContext } from '@strata/db-context'

/** Reports the connections of every level, in use and waited for, whenever the metrics are read. */
export function observePools(db: DbContext): void {
  const meter = metrics.getMeter('school')
  const gauge = (name: 'max' | 'inUse' | 'waiting', metric: string, description: string) =>
    meter.createObservableGauge(metric, { description }).addCallback(result => {
      for (const pool of db.pools()) {
        result.observe(pool[name], { datasource: pool.datasource, level: String(pool.level) })
      }
    })
  gauge('max', 'strata.pool.max', 'Connections that a pool may open')
  gauge('inUse', 'strata.pool.in_use', 'Connections of a pool that work or a transaction holds')
  gauge('waiting', 'strata.pool.waiting', 'Statements and transactions that wait for a connection of a pool')
}
