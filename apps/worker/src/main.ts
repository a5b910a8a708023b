import './measuring.ts'

import { reportFailedStart, stopAtProcessEnd } from '@strata/school'
import { readConfig } from './config.ts'
import { buildWorker } from './worker.ts'

/** More than what follows the jobs ever takes. */
const closeMsMax = 10_000

async function main(): Promise<void> {
  const config = readConfig(process.env)
  const { stop, cutShort, ...worker } = buildWorker(config)
  stopAtProcessEnd(worker.log, { stop, cutShort, stopMsMax: config.jobsStopMs + closeMsMax })
  try {
    await worker.start()
  } catch (error) {
    await stop().catch(() => {})
    throw error
  }
  worker.log.info('Ready')
  process.send?.({ type: 'ready' })
}

main().catch(error => {
  reportFailedStart(error)
  process.exit()
})
