import { RungUnavailable, type RunningServer, type ServerKind } from '../server-kind.ts'

/** A server that somebody else runs: checked, used, and never stopped by us. */
export async function startFromUrl(kind: ServerKind, env: NodeJS.ProcessEnv): Promise<RunningServer> {
  const url = env[kind.urlVariable]
  if (!url) throw new RungUnavailable(`${kind.urlVariable} is not set`, `set ${kind.urlVariable}`)
  const { version } = await kind.checkUrl(url)
  // Not ours to watch: whoever uses it meets its end as a failed connection.
  const exited = Promise.withResolvers<never>().promise
  return { url, version, place: kind.urlVariable, members: [], exited, stop: async () => {} }
}
