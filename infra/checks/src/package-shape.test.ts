import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { entryOf, shapeBreaches } from './package-shape.ts'
import { readWorkspace } from './workspace.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const { packages, manifest: rootManifest } = readWorkspace(root)

describe('packages', () => {
  test('all have one shape', () => {
    expect(packages.flatMap(shapeBreaches)).toEqual([])
  })

  test('a package of another shape is reported', () => {
    const entry = { types: './dist/index.d.ts', '@strata/source': './src/index.ts', default: './dist/index.js' }
    const manifest = {
      ...{ name: '@strata/queues', type: 'module', license: 'MIT', dependencies: { bullmq: '^6.0.0' } },
      exports: { '.': entry, './other': entryOf('other') },
    }
    expect(
      shapeBreaches({ folder: 'packages/queue', manifest, sources: [{ path: 'src/index.ts', text: '' }] }),
    ).toEqual([
      'packages/queue/package.json: name is not @strata/queue',
      'packages/queue/package.json: exports . is not of the usual shape',
      'packages/queue/package.json: exports ./other: ./src/other.ts does not exist',
      'packages/queue/package.json: bullmq is ^6.0.0, not catalog:',
    ])
  })

  test.each(['tsconfig.json', 'tsconfig.build.json'])('%s is the same in all that export something', name => {
    const texts = packages
      .filter(({ manifest }) => manifest.exports !== undefined)
      .map(({ folder }) => [folder, readFileSync(join(root, folder, name), 'utf8')])
    const [first] = texts
    expect(texts).toEqual(texts.map(([folder]) => [folder, first?.[1]]))
  })

  test('every package checks its types, and every one that exports something builds', () => {
    const scripts = packages.map(({ folder, manifest }) => [folder, manifest.scripts])
    expect(scripts).toEqual(
      packages.map(({ folder, manifest }) => [
        folder,
        expect.objectContaining({
          types: 'tsc -p tsconfig.json',
          ...(manifest.exports === undefined ? {} : { build: 'tsc -p tsconfig.build.json' }),
        }),
      ]),
    )
  })
})

test('every version in the catalog is used', () => {
  const [, catalog = ''] = readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8').split(/^catalog:$/m)
  const offered = [...catalog.matchAll(/^ {2}'?([^':\s]+)'?:/gm)].map(match => match[1])
  const manifests = [rootManifest, ...packages.map(({ manifest }) => manifest)]
  const used = new Set(manifests.flatMap(it => Object.keys({ ...it.dependencies, ...it.devDependencies })))
  expect(offered.filter(name => name !== undefined && !used.has(name))).toEqual([])
})
