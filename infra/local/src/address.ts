import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import type { LocalConfig } from './config.ts'

/** Before any server is started: a start that cannot succeed should not take seconds to say so. */
export async function refuseTakenPort({ host, port }: LocalConfig): Promise<void> {
  if (port === undefined || port === 0) return
  const probe = createServer()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  probe.once('error', (error: NodeJS.ErrnoException) => {
    const taken = `PORT ${port} on ${host} is taken by another process: set PORT to a free one, or to 0 to take any`
    reject(error.code === 'EADDRINUSE' ? new Error(taken) : new Error(`PORT ${port} on ${host}: ${error.message}`))
  })
  probe.listen(port, host, resolve)
  await promise
  await new Promise(closed => probe.close(closed))
}

/** Resolves when the API answers that it and its servers are up. @throws after `limitMs`, with its last answer. */
export async function untilHealthy(url: string, limitMs: number): Promise<void> {
  const deadline = performance.now() + limitMs
  let last = 'no answer'
  while (performance.now() < deadline) {
    const answer = await fetch(`${url}/health`, { signal: AbortSignal.timeout(2000) }).catch(String)
    if (typeof answer !== 'string' && answer.ok) return
    last = typeof answer === 'string' ? answer : `${answer.status} ${await answer.text()}`
    await pause(100)
  }
  throw new Error(`GET ${url}/health was not 200 within ${limitMs / 1000} s: ${last}`)
}
