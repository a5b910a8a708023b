// What each root command runs, once Node, pnpm and the packages are there. `node` means the brought one.
const source = '--conditions=@strata/source'
const vitest = ['node', 'node_modules/vitest/vitest.mjs', 'run', '--config', 'infra/checks/vitest.config.ts']
const lab = ['node', source, 'apps/lab/src/main.ts']

/** Vitest over these projects, unless the arguments choose their own. */
const suites =
  (...names) =>
  extra => {
    const chosen = extra.some(arg => arg === '--project' || arg.startsWith('--project='))
    return [...vitest, ...(chosen ? [] : names.flatMap(name => ['--project', name])), ...extra]
  }

export const jobs = {
  start: {
    about: 'servers, API process and worker processes; Ctrl-C stops them',
    command: extra => ['node', source, 'infra/local/src/start.ts', ...extra],
  },
  test: {
    about: 'every suite; arguments go to vitest: npm test -- --project deadlock',
    command: suites('unit', 'integration', 'deadlock'),
    limitMinutes: 15,
  },
  check: {
    about: 'format, lint, types, unused code, import rules and unit tests',
    command: extra => ['node', source, 'infra/checks/src/check.ts', ...extra],
    limitMinutes: 5,
  },
  lab: {
    about: 'lists the scenarios, or runs one: npm run lab -- SCENARIO',
    command: extra => [...lab, 'lab', ...extra],
  },
  bench: {
    about: 'lists the benchmarks, or runs one: npm run bench -- NAME',
    command: extra => [...lab, 'bench', ...extra],
  },
  'test:chaos': {
    about: 'the suites that kill and cut things',
    command: extra => [...suites('chaos')(extra), '--passWithNoTests'],
    limitMinutes: 60,
  },
  'test:soak': {
    about: 'the suites that run for long',
    command: extra => [...suites('soak')(extra), '--passWithNoTests'],
    limitMinutes: 60,
  },
  format: {
    about: 'formats, and fixes what lint can fix',
    command: extra => ['node', 'node_modules/@biomejs/biome/bin/biome', 'check', '--write', ...extra],
  },
  lock: {
    about: 'updates pnpm-lock.yaml after a change of a manifest',
    command: extra => ['pnpm', 'install', '--no-frozen-lockfile', ...extra],
    install: false,
  },
}
