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

/** Flags of the long suites: vitest has none of its own for its tests, so they go by environment. */
const chaosFlags = { '--fault': 'STRATA_FAULT', '--seeds': 'STRATA_SEEDS', '--from': 'STRATA_SEED' }
const soakFlags = { '--rate': 'STRATA_SOAK_RATE', '--seconds': 'STRATA_SOAK_SECONDS', '--from': 'STRATA_SEED' }

/** Takes `--flag value` and `--flag=value` of `flags` out of the arguments, as environment variables. */
export function takeFlags(flags, args) {
  const env = {}
  const rest = []
  for (let at = 0; at < args.length; at += 1) {
    const [flag, ...joined] = args[at].split('=')
    if (flags[flag] === undefined) {
      rest.push(args[at])
      continue
    }
    const value = joined.length > 0 ? joined.join('=') : args[++at]
    if (!value || value.startsWith('--')) throw new UsageError(`${flag} needs a value, such as ${flag} 1`)
    env[flags[flag]] = value
  }
  return { env, rest }
}

/** The command line is to blame: exit code 2. */
export class UsageError extends Error {}

export const jobs = {
  start: {
    about: 'servers, API process and worker processes; Ctrl-C stops them',
    command: extra => ['node', source, 'infra/local/src/start.ts', ...extra],
  },
  test: {
    about: 'every suite; arguments go to vitest: npm test -- --project deadlock',
    command: suites('unit', 'integration', 'deadlock', 'chaos'),
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
    about: 'the suites that kill and cut things: npm run test:chaos -- --fault NAME --seeds N --from SEED',
    flags: chaosFlags,
    // Asks for the whole form; in `npm test` the same suite runs each fault once.
    env: { STRATA_SEEDS: '20' },
    command: suites('chaos'),
    limitMinutes: 60,
  },
  'test:soak': {
    about: 'ten minutes of nested calls that must leave nothing behind: npm run test:soak -- --rate N --seconds S',
    flags: soakFlags,
    command: suites('soak'),
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
