import { until } from '@strata/testkit'
import type { RunningSchool } from './running-school.ts'

/**
 * Stops the clock of all workers, after one call of each kind: calls then wait in lanes that count as served, for as long as
 * a process that is not heard of still counts (15 s). Without any worker they would be refused after two. The result lets go.
 */
export async function pauseWorkers(school: RunningSchool): Promise<() => void> {
  const id = await school.payer(1)
  await school.request('PUT', `/students/${id}/name`, { name: 'Ada' })
  await school.request('POST', '/enrolments', { studentId: id, course: 'First', feeCents: 1 })
  const isServed = async () => {
    const { body } = await school.request('GET', '/levels')
    const served = (body['lanes'] as { queue: string; level: number; slots: number }[]).filter(({ slots }) => slots > 0)
    return ['student.rename~1', 'account.charge~1'].every(name =>
      served.some(({ queue, level }) => `${queue}~${level}` === name),
    )
  }
  await until(isServed, { deadlineMs: 10_000, message: 'the lanes to be served' })
  const each = (signal: NodeJS.Signals) => {
    for (const worker of school.workers) worker.kill(signal)
  }
  each('SIGSTOP')
  return () => each('SIGCONT')
}
