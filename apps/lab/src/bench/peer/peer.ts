import { bullmq } from './bullmq.ts'
import type { Answer, Step } from './messages.ts'
import { platformatic } from './platformatic.ts'
import { repeat } from './repeat.ts'
import type { Call, System, SystemSides } from './station.ts'
import { strata } from './strata.ts'

const systems: Readonly<Record<System, SystemSides>> = { strata, bullmq, platformatic }
const calls = new Map<string, Call>()

async function perform(step: Step): Promise<number[]> {
  if (step.type === 'go') {
    const call = calls.get(step.stretch.station)
    if (call === undefined) throw new Error(`No station ${step.stretch.station} in this process`)
    return await repeat(call, step.stretch)
  }
  const { role, station } = step
  const sides = systems[station.system]
  if (role === 'worker') await sides.openWorker(station)
  else calls.set(station.id, (await sides.openCaller(station)).call)
  return []
}

const answer = (message: Answer): void => void process.send?.(message)

process.on('message', (step: Step) => {
  perform(step).then(
    ms => answer({ type: 'done', ms }),
    (error: unknown) =>
      answer({ type: 'failed', message: error instanceof Error ? (error.stack ?? '') : String(error) }),
  )
})
// Nothing is closed in order: the bench ends its processes at once, and its servers after them.
process.on('disconnect', () => process.exit())
