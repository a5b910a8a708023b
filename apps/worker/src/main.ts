import './measuring.ts'

import { reportFailedStart, stopAtProcessEnd } from '@strata/school'
import { readConfig } from './config.ts'
import { buildWorker } from './worker.ts'

async function main(): Promise<void> {
  const worker = buildWorker(readConfig(process.env))
  stopAtProcessEnd(worker.log, worker.stop)
  try {
    await worker.start()
  } catch (error) {
    await worker.stop().catch(() => {})
    throw error
  }
  worker.log.info('Ready')
  process.send?.({ type: 'ready' })
}

main().catch(error => {
  reportFailedStart(error)
  process.exit()
})
