import { createDbContext, type DbContext } from '@strata/db-context'
import { FakeDatasource } from '@strata/db-context/conformance'
import type { CallPlan } from '../plan.ts'
import type { Hold, Order, Place, Serving, Told } from './messages.ts'

/** What a kind of process does with a round; made anew for each. */
export interface Round {
  /** Makes calls; only a caller does. */
  call?(plans: readonly CallPlan[]): void
  /** Holds a job; only a worker does. */
  hold?(hold: Hold | undefined): void
  close(): Promise<void>
}

export interface Stage {
  readonly db: DbContext
  readonly data: FakeDatasource
  readonly place: Place
  readonly serving: Serving
  readonly tell: (message: Told) => void
}

const tell = (message: Told): void => {
  process.send?.(message)
}

/** Follows the rig's orders: one process serves many rounds, since starting one costs more than most rounds do. */
export function perform(open: (stage: Stage) => Promise<Round>): void {
  let round: Round | undefined
  let db: DbContext | undefined
  const orders: Record<Order['order'], (order: Order) => Promise<void>> = {
    open: async order => {
      if (order.order !== 'open') return
      const data = new FakeDatasource({ pool: { max: 50, timeoutMs: 5000 } })
      db = createDbContext({ datasources: [data] })
      round = await open({ db, data, place: order.place, serving: order.serving, tell })
      tell({ told: 'opened' })
    },
    call: async order => {
      if (order.order === 'call') round?.call?.(order.plans)
    },
    hold: async order => {
      if (order.order !== 'hold') return
      round?.hold?.(order.hold)
      tell({ told: 'holding' })
    },
    release: async () => round?.hold?.(undefined),
    close: async () => {
      await round?.close()
      await db?.stop({ deadlineMs: 1000 })
      tell({ told: 'closed' })
    },
  }
  process.on('message', (order: Order) => {
    orders[order.order](order).catch(error => tell({ told: 'failed', reason: String(error?.stack ?? error) }))
  })
  process.on('disconnect', () => process.exit(1))
  tell({ told: 'ready' })
}
