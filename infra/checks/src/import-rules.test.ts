import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findBreaches } from './import-rules.ts'
import { readWorkspace } from './workspace.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

type Tree = Record<string, unknown>

const manifest = (name: string, fields: Tree = {}) => ({ name: `@strata/${name}`, exports: { '.': {} }, ...fields })

const mongo = {
  dependencies: { '@strata/db-context': 'workspace:*', mongodb: 'catalog:' },
  devDependencies: { '@strata/testkit': 'workspace:*' },
}

/** A sound tree in small; a breach is planted by writing over one of its files. */
const sound: Tree = {
  'package.json': { name: 'strata', devDependencies: { vitest: 'catalog:' } },
  'packages/db-context/package.json': manifest('db-context'),
  'packages/db-context/src/index.ts': `export { a } from './a.ts'\n`,
  'packages/mongo/package.json': manifest('mongo', mongo),
  'packages/mongo/src/index.ts': `import type {\n  A,\n  B,\n} from '@strata/db-context'\nimport 'mongodb'\nimport 'node:fs'\n`,
  'packages/mongo/test/a.int.test.ts': `import { inject } from 'vitest'\nimport { gate } from '@strata/testkit'\nimport { a } from '../src/index.ts'\n`,
  'packages/queue/package.json': manifest('queue', {
    dependencies: { '@strata/db-context': 'workspace:*', bullmq: 'catalog:' },
  }),
  'packages/consistency/package.json': manifest('consistency', { dependencies: { '@strata/mongo': 'workspace:*' } }),
  'packages/testkit/package.json': manifest('testkit', { dependencies: { mongodb: 'catalog:' } }),
  'apps/api/package.json': manifest('api', { dependencies: { '@strata/queue': 'workspace:*' } }),
  'apps/lab/package.json': manifest('lab', { dependencies: { '@strata/testkit': 'workspace:*', ioredis: 'catalog:' } }),
  'infra/local/package.json': manifest('local', { devDependencies: { '@strata/testkit': 'workspace:*' } }),
  'infra/local/src/start.ts': `import { startServers } from '@strata/testkit'\n`,
}

function breachesOf(planted: Tree): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'strata-rules-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const [path, content] of Object.entries({ ...sound, ...planted })) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), typeof content === 'string' ? content : JSON.stringify(content))
  }
  return findBreaches(readWorkspace(folder))
}

const callOf = (specifier: string) => `import('${specifier}')`
const dependsOn = (name: string, field = 'dependencies') => ({ [field]: { [name]: '*' } })

// What is planted, and the breach it must be reported as.
const plants: [string, Tree, string][] = [
  [
    'db-context with a dependency',
    { 'packages/db-context/package.json': manifest('db-context', dependsOn('zod')) },
    'packages/db-context/package.json: has no dependency at all, so not zod either',
  ],
  [
    'queue on consistency, even for its tests',
    { 'packages/queue/package.json': manifest('queue', dependsOn('@strata/consistency', 'devDependencies')) },
    'packages/queue/package.json: may depend on @strata/db-context only, not on @strata/consistency',
  ],
  [
    'consistency on queue',
    { 'packages/consistency/package.json': manifest('consistency', dependsOn('@strata/queue')) },
    'packages/consistency/package.json: may depend on @strata/db-context, @strata/mongo only, not on @strata/queue',
  ],
  [
    'an app that ships a driver',
    { 'apps/api/package.json': manifest('api', dependsOn('mongodb')) },
    'apps/api/package.json: only packages/mongo ships mongodb',
  ],
  [
    'a package that ships bullmq',
    {
      'packages/mongo/package.json': manifest('mongo', {
        ...mongo,
        dependencies: { ...mongo.dependencies, bullmq: '*' },
      }),
    },
    'packages/mongo/package.json: only packages/queue ships bullmq',
  ],
  [
    'testkit shipped',
    { 'apps/api/package.json': manifest('api', dependsOn('@strata/testkit')) },
    'apps/api/package.json: @strata/testkit belongs in devDependencies',
  ],
  [
    'infra imported',
    { 'apps/api/package.json': manifest('api', dependsOn('@strata/local', 'devDependencies')) },
    'apps/api/package.json: infra is imported by no one, so not @strata/local either',
  ],
  [
    'a deep path',
    { 'packages/mongo/src/index.ts': `import { a } from '@strata/db-context/src/a.ts'\n` },
    'packages/mongo/src/index.ts: @strata/db-context does not export ./src/a.ts',
  ],
  [
    'a relative import that leaves its package',
    { 'packages/mongo/src/index.ts': `export type { A } from '../../db-context/src/index.ts'\n` },
    'packages/mongo/src/index.ts: ../../db-context/src/index.ts leaves the package: import its name',
  ],
  [
    'a dynamic import that leaves its package',
    { 'packages/mongo/src/index.ts': `const a = await ${callOf('../../queue/src/index.ts')}\n` },
    'packages/mongo/src/index.ts: ../../queue/src/index.ts leaves the package: import its name',
  ],
  [
    'shipped code on a development package',
    { 'packages/mongo/src/index.ts': `import { gate } from '@strata/testkit'\n` },
    'packages/mongo/src/index.ts: shipped code imports @strata/testkit, which is not in dependencies',
  ],
  [
    'shipped code on a driver that is not its own',
    { 'packages/queue/src/index.ts': `import { MongoClient } from 'mongodb'\n` },
    'packages/queue/src/index.ts: shipped code imports mongodb, which is not in dependencies',
  ],
  [
    'a test on a package nobody declared',
    { 'packages/queue/test/a.int.test.ts': `import { z } from 'zod'\n` },
    'packages/queue/test/a.int.test.ts: zod is not in package.json',
  ],
]

describe('import rules', () => {
  test('this tree keeps them', () => {
    expect(findBreaches(readWorkspace(root))).toEqual([])
  })

  test('a sound tree has no breach', () => {
    expect(breachesOf({})).toEqual([])
  })

  test.each(plants)('reports %s', (_, planted, breach) => {
    expect(breachesOf(planted)).toEqual([breach])
  })

  test('text that only looks like an import is none', () => {
    const text = `// ${callOf('../../queue/x.ts')}\n/**\n * import 'zod'\n */\nconst a = "import 'zod'"\n`
    expect(breachesOf({ 'packages/mongo/src/index.ts': text })).toEqual([])
  })
})
