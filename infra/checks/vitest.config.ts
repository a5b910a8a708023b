import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { LastLineReporter } from './src/last-line.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

// The suites start hundreds of processes, and each would compile its packages anew: nearly half of its start.
process.env['NODE_COMPILE_CACHE'] ??= `${root}node_modules/.cache/compiled`

const ownFile = (name: string) => fileURLToPath(new URL(`src/${name}`, import.meta.url))

/** The suites with servers; their suffix keeps them out of the unit project wherever they lie. */
const serverSuites = '**/*.{int,deadlock,chaos,soak}.test.ts'
const never = ['**/node_modules/**', '**/dist/**']

// Conditions replace vite's defaults, so these have to be named again beside ours.
const conditions = ['@strata/source', 'node', 'module', 'import', 'default']
const resolution = { resolve: { conditions, externalConditions: conditions } }

interface Suite {
  name: string
  include: string[]
  exclude?: string[]
  /** From 1: vitest runs group 0 last and drops negative groups without a word. */
  order: number
  testTimeoutMs: number
  servers: boolean
  maxWorkers: number
}

function project(suite: Suite): TestProjectInlineConfiguration {
  return {
    root,
    resolve: { conditions },
    ssr: resolution,
    // Where vitest loads a globalSetup; it does not follow `ssr`.
    environments: { __vitest__: resolution },
    test: {
      name: suite.name,
      root,
      include: suite.include,
      exclude: [...never, ...(suite.exclude ?? [])],
      sequence: { groupOrder: suite.order },
      pool: suite.servers ? 'forks' : 'threads',
      isolate: suite.servers,
      maxWorkers: suite.maxWorkers,
      testTimeout: suite.testTimeoutMs,
      hookTimeout: suite.testTimeoutMs,
      globalSetup: suite.servers ? [ownFile('servers.setup.ts')] : [],
    },
  }
}

// Suites with servers mostly wait: one more of them at once than there are cores. Many more would test the machine instead.
const cores = availableParallelism()
const workers = { alone: Math.min(4, cores), waiting: Math.min(4, cores + 1) }

// Suites that keep the cores busy, and judge by deadlines whether something hangs: two at once use what one leaves idle. The
// whole form of the chaos suites measures how long a take-over lasts: nothing of ours may run beside it.
const busyAtOnce = process.env['STRATA_SEEDS'] ? 1 : Math.min(2, cores)

const projects = [
  project({
    name: 'unit',
    include: ['{packages,apps,infra}/**/src/**/*.test.ts'],
    exclude: [serverSuites],
    order: 1,
    testTimeoutMs: 10_000,
    servers: false,
    maxWorkers: workers.alone,
  }),
  project({
    name: 'integration',
    include: ['{packages,apps,infra}/*/test/**/*.int.test.ts'],
    order: 2,
    testTimeoutMs: 60_000,
    servers: true,
    maxWorkers: workers.waiting,
  }),
  ...['deadlock', 'chaos', 'soak'].map(name =>
    project({
      name,
      include: [`packages/system-tests/**/*.${name}.test.ts`],
      order: name === 'soak' ? 4 : 3,
      testTimeoutMs: name === 'deadlock' ? 120_000 : 3_600_000,
      servers: true,
      maxWorkers: name === 'soak' ? 1 : busyAtOnce,
    }),
  ),
]

export default defineConfig({
  root,
  test: {
    root,
    projects,
    reporters: ['default', new LastLineReporter()],
    teardownTimeout: 20_000,
    // A forgotten `.only` would turn a red suite green.
    allowOnly: false,
  },
})
