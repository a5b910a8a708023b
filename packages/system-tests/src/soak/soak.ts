import { setTimeout as sleep } from 'node:timers/promises'
import { startServers } from '@strata/testkit'
import { Crew, type Look } from './crew.ts'
import { type Finding, judgeCalls, judgeTrends, type Trend } from './judge.ts'
import type { LoadTotals } from './load.ts'
import type { Sample } from './sample.ts'
import { ServerWatch } from './server-watch.ts'
import type { SoakSettings } from './settings.ts'

/** What a soak has shown. */
export interface SoakResult {
  readonly settings: SoakSettings
  readonly servers: string
  readonly totals: LoadTotals
  readonly trends: readonly Trend[]
  readonly findings: readonly Finding[]
  /** What the processes said. */
  readonly stderr: string
}

const samplesMax = 60
const sampleMsMin = 250

/**
 * Has one caller and its workers, each a process, nest calls for as long as the settings say, on servers of their own, and
 * judges what they held at the start of the span against what they hold at its end. `progress` gets a line every 30 s.
 */
export async function soak(settings: SoakSettings, progress: (line: string) => void): Promise<SoakResult> {
  await using servers = await startServers({ private: true, report: () => {} })
  await using watch = new ServerWatch(servers)
  await watch.prepare()
  const { mongoUrl, redisUrl, mongo, redis } = servers
  await using crew = await Crew.open({ mongoUrl, redisUrl, settings })
  const loading = crew.load()
  loading.catch(() => {})
  const samples = await sample(crew, watch, { settings, progress, loading })
  const totals = await loading
  const books = { ...settings, applied: await watch.applied() }
  return {
    settings,
    servers: `MongoDB ${mongo.version}, Redis ${redis.version}`,
    totals,
    trends: judgeTrends(samples, settings),
    findings: [...judgeCalls(totals, books), ...(await crew.stop())],
    stderr: crew.stderr(),
  }
}

interface Sampling {
  readonly settings: SoakSettings
  readonly progress: (line: string) => void
  readonly loading: Promise<unknown>
}

const progressMs = 30_000

/** Looks again and again until the load has ended. */
async function sample(crew: Crew, watch: ServerWatch, { settings, progress, loading }: Sampling): Promise<Sample[]> {
  const end = new AbortController()
  const ended = loading.finally(() => end.abort())
  const samples: Sample[] = []
  let toldAtMs = 0
  try {
    // A pause after each look, not a beat: on a slow machine the load would do nothing but rest.
    for (;;) {
      await sleep(sampleMs(settings), undefined, { signal: end.signal })
      const look = await Promise.race([crew.look(() => watch.look()), broken(ended)])
      const { atMs } = look.progress
      samples.push({ atMs, values: look.values })
      if (atMs - toldAtMs < progressMs) continue
      toldAtMs = atMs
      progress(progressLine(look))
    }
  } catch (error) {
    if (!end.signal.aborted) throw error
  }
  return samples
}

const sampleMs = ({ spanMs }: SoakSettings) => Math.max(sampleMsMin, spanMs / samplesMax)

/** Rejects when the load breaks off: its reason goes before that of whoever still asks its processes. */
async function broken(loading: Promise<unknown>): Promise<never> {
  await loading
  return await new Promise<never>(() => {})
}

function progressLine({ progress: { atMs, arrived, ended, failed, putOff }, values }: Look): string {
  const heaps = Object.entries(values)
    .filter(([name]) => name.endsWith('.heapBytes'))
    .map(([, bytes]) => (bytes / 2 ** 20).toFixed(1))
  const calls = `${arrived} arrived, ${ended} ended, ${failed} failed, ${putOff} put off`
  const servers = `${values['redis.keys']} keys, ${values['mongo.connections']} MongoDB connections`
  return `soak ${Math.round(atMs / 1000)} s: ${calls}; heaps ${heaps.join(', ')} MiB; ${servers}`
}
