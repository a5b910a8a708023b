import { Command, Option } from 'commander'
import type { BenchOptions } from '../bench/benchmark.ts'
import { benchmarks, findBenchmark } from '../bench/benchmarks.ts'
import { runBench } from '../bench/run.ts'
import { LabError } from '../lab-error.ts'
import { benchmarkList, benchTable } from '../report/bench-table.ts'
import type { Surroundings } from './main-program.ts'
import { wholeNumber, wholeNumbers } from './number-flag.ts'

interface BenchFlags extends BenchOptions {
  readonly json?: true
}

export function benchCommand(around: Surroundings): Command {
  return new Command('bench')
    .description('Measures ours beside a reference in one run on the same servers; lists all without a name')
    .argument('[name]', `one of ${benchmarks.map(({ name }) => name).join(', ')}`)
    .addOption(new Option('--rounds <n>', 'the ratio is their median').argParser(wholeNumber(1, 100)).default(5))
    .addOption(new Option('--seconds <n>', 'for each row and round').argParser(wholeNumber(1, 600)).default(5))
    .addOption(
      new Option('--processes <list>', 'waiting processes to measure with, where a benchmark has them')
        .argParser(wholeNumbers(1, 64))
        .default([1, 16], '1,16'),
    )
    .option('--json', 'prints the result as JSON, on the last line of stdout')
    .action((name: string | undefined, flags: BenchFlags) => run(name, flags, around))
}

async function run(name: string | undefined, flags: BenchFlags, around: Surroundings): Promise<void> {
  if (name === undefined) {
    around.out(
      flags.json ? `${JSON.stringify(benchmarks.map(({ name, what }) => ({ name, what })))}\n` : benchmarkList(),
    )
    return
  }
  const benchmark = findBenchmark(name)
  if (benchmark === undefined) {
    throw new LabError('USAGE', `No benchmark ${name}; there are ${benchmarks.map(each => each.name).join(', ')}`)
  }
  const report = (line: string) => around.err(`${line}\n`)
  const result = await runBench(benchmark, flags, { report, signal: around.signal })
  around.out(flags.json ? `${JSON.stringify(result)}\n` : benchTable(result))
}
