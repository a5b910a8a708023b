import { createServer } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { type LocalConfig, SettingInvalid } from './config.ts'

/** What a host has that is not an address of this machine. */
const NOT_OURS = ['EADDRNOTAVAIL', 'ENOTFOUND', 'EAI_AGAIN', 'EINVAL', 'EAFNOSUPPORT']

/**
 * Before any server is started: a start that cannot succeed should not take seconds to say so.
 * @throws SettingInvalid when HOST is not an address of this machine; an error when the port cannot be had.
 */
export async function refuseUnusableAddress({ host, port }: LocalConfig): Promise<void> {
  const probe = createServer()
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  probe.once('error', (error: NodeJS.ErrnoException) => reject(unusable({ host, port }, error)))
  probe.listen(port, host, resolve)
  await promise
  await new Promise(closed => probe.close(closed))
}

function unusable({ host, port }: Pick<LocalConfig, 'host' | 'port'>, error: NodeJS.ErrnoException): Error {
  const { code = '', message } = error
  if (NOT_OURS.includes(code)) {
    return new SettingInvalid(`HOST is ${JSON.stringify(host)}, expected an address of this machine (${code})`)
  }
  const change = 'set PORT to a free one, or to 0 to take any'
  if (code === 'EADDRINUSE') return new Error(`PORT ${port} on ${host} is taken by another process: ${change}`)
  return new Error(`PORT ${port} on ${host} cannot be used (${message}): ${change}`)
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
