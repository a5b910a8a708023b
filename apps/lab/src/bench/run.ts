import { startServers } from '@strata/testkit'
import { type Versions, versionsOf } from '../report/versions.ts'
import type { Benchmark, BenchOptions, Contest, Row } from './benchmark.ts'
import { duel, type Round, rowOf, warmUp } from './duel.ts'
import { type Machine, machine } from './machine.ts'

/** A finished bench run, as a program reads it; names and meaning of its fields are fixed. */
export interface BenchResult {
  readonly name: string
  readonly machine: Machine
  readonly versions: Versions
  readonly rounds: number
  readonly rows: readonly Row[]
}

/** Brings up servers, measures every row in every round, and takes all of it down again. */
export async function runBench(
  benchmark: Benchmark,
  options: BenchOptions,
  { report, signal }: { report: (line: string) => void; signal: AbortSignal },
): Promise<BenchResult> {
  await using servers = await startServers({ report })
  await using opened = await benchmark.open(servers, options)
  const seen = new Map<Contest, Round[]>(opened.contests.map(contest => [contest, []]))
  for (const contest of seen.keys()) await warmUp(contest)
  for (let round = 0; round < options.rounds; round += 1) {
    report(`round ${round + 1} of ${options.rounds}`)
    for (const [contest, rounds] of seen) {
      signal.throwIfAborted()
      rounds.push(await duel(contest, { seconds: options.seconds, round }))
    }
  }
  return {
    name: benchmark.name,
    machine: machine(),
    versions: versionsOf({ mongodb: servers.mongo.version, redis: servers.redis.version }),
    rounds: options.rounds,
    rows: [...seen].map(([contest, rounds]) => rowOf(contest, rounds)),
  }
}
