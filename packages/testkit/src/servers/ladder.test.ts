import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mongoKind, redisKind } from './kinds.ts'
import { climb } from './ladder.ts'
import { type Order, RungUnavailable, type RunningServer, type ServerKind } from './server-kind.ts'

const running: RunningServer = {
  url: 'redis://x',
  version: '8.1.0',
  place: 'here',
  members: [],
  exited: new Promise(() => {}),
  stop: async () => {},
}

/** Redis's rungs with nothing behind them: no URL, no PATH, no cache; the container as told. */
function kind(launchContainer: ServerKind['launchContainer']): ServerKind {
  return { ...redisKind, launchContainer }
}

function order(env: NodeJS.ProcessEnv = {}): Order & { lines: string[] } {
  const lines: string[] = []
  const nothing = { XDG_CACHE_HOME: join(tmpdir(), 'strata-there-is-no-such-folder'), PATH: '' }
  const report = (line: string): void => {
    lines.push(line)
  }
  return { env: { ...nothing, ...env }, report, dataDir: undefined, members: 1, args: [], lines }
}

const noEngine = async (): Promise<RunningServer> => {
  throw new RungUnavailable('no engine', 'start one')
}

test('the first rung that works is taken, and one line says which and why', async () => {
  const asked = order()
  const { rung } = await climb(
    kind(async () => running),
    asked,
    false,
  )
  expect(rung).toBe('container')
  expect(asked.lines).toEqual([
    expect.stringMatching(
      /^Redis 8\.1\.0 by container \(here\), because url: REDIS_URL is not set; path: no valkey-server or redis-server on the PATH; kept: none kept in /,
    ),
  ])
})

test('a forced rung that fails is an error that names it, and no other is tried', async () => {
  const failing = climb(kind(noEngine), order({ STRATA_REDIS: 'container' }), false)
  await expect(failing).rejects.toMatchObject({
    code: 'SERVERS_RUNG_FAILED',
    message: 'Redis by container, which STRATA_REDIS forces, failed: no engine; start one, or force another rung',
  })
})

test('an unknown rung is an error that lists the allowed ones', async () => {
  await expect(climb(redisKind, order({ STRATA_REDIS: 'download' }), false)).rejects.toMatchObject({
    code: 'SERVERS_RUNG_UNKNOWN',
    message: 'STRATA_REDIS is "download"; allowed are url, path, kept, container, wheel',
  })
  await expect(climb(mongoKind, order({ STRATA_MONGO: 'dockr' }), false)).rejects.toMatchObject({
    message: 'STRATA_MONGO is "dockr"; allowed are url, path, kept, container, download, wheel',
  })
})

test('when none works one error lists each rung, why it failed and what to do', async () => {
  const asked = order()
  const failure = await climb(kind(noEngine), asked, false).catch((error: Error) => error)
  expect(failure).toMatchObject({ code: 'SERVERS_UNAVAILABLE' })
  const text = (failure as Error).message
  for (const rung of redisKind.rungs) expect(text).toMatch(new RegExp(`^ {2}${rung}: .+ -> .+$`, 'm'))
  expect(asked.lines.filter(line => line.includes(' by '))).toEqual([])
})

test('a private server is never the one at the URL', async () => {
  const asked = order({ REDIS_URL: 'redis://127.0.0.1:1', STRATA_REDIS: 'url' })
  expect(
    (
      await climb(
        kind(async () => running),
        asked,
        true,
      )
    ).rung,
  ).toBe('container')
})
