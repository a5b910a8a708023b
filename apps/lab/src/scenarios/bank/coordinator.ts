import { until } from '@strata/testkit'
import type { Stage } from '../../process/stage.ts'
import type { Ledger } from './ledger.ts'
import { drawTransfers, type PlannedTransfer } from './plan.ts'

/** Transfers under way at once in one coordinator. */
const atOnce = 8

export const goId = 'go'

/** Makes the transfers of its share, from the first that is not begun: after a predecessor of its name that was killed, too. */
export async function coordinate(stage: Stage, ledger: Ledger): Promise<void> {
  const isGo = async () => (await stage.raw.findOne({ _id: goId })) !== null
  await until(isGo, { deadlineMs: stage.limits.waitMs, message: 'the beginning', everyMs: 20 })
  ledger.start()
  const begun = await ledger.begun()
  const rest = shareOf(stage).filter(({ id }) => !begun.has(id))
  const work = async () => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      const transfer = next
      await stage.db.run(() => ledger.transfer(transfer), { name: transfer.id })
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
}

function shareOf({ settings, process }: Stage): PlannedTransfer[] {
  const coordinators = settings.processes - 1
  const mine = Number(process.replace('worker-', '')) - 1
  return drawTransfers(settings).filter((_, index) => index % coordinators === mine)
}
