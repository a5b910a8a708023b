import { basename } from 'node:path'
import type { Manifest, Package } from './workspace.ts'

/** The conditions of one entry of `exports`, in the order in which Node tries them. */
export function entryOf(file: string) {
  return { '@strata/source': `./src/${file}.ts`, types: `./dist/${file}.d.ts`, default: `./dist/${file}.js` }
}

/** Where a manifest departs from the one shape all packages have; what is not named here is free. */
export function shapeBreaches({ folder, manifest, sources }: Package): string[] {
  const expected: Partial<Manifest> = {
    name: `@strata/${basename(folder)}`,
    type: 'module',
    license: 'MIT',
  }
  const wrong = Object.entries(expected)
    .filter(([field, value]) => manifest[field as keyof Manifest] !== value)
    .map(([field, value]) => `${field} is not ${String(value)}`)
  const entries = Object.entries(manifest.exports ?? {}).flatMap(([entry, conditions]) => {
    const source = (conditions as Record<string, string>)['@strata/source'] ?? ''
    const file = source.replace(/^\.\/src\//, '').replace(/\.ts$/, '')
    if (JSON.stringify(conditions) !== JSON.stringify(entryOf(file)))
      return [`exports ${entry} is not of the usual shape`]
    return sources.some(({ path }) => `./${path}` === source) ? [] : [`exports ${entry}: ${source} does not exist`]
  })
  return [...wrong, ...entries, ...versionBreaches(manifest)].map(breach => `${folder}/package.json: ${breach}`)
}

/** One version of each dependency in the whole tree, and it is written in pnpm-workspace.yaml. */
function versionBreaches(manifest: Manifest): string[] {
  return Object.entries({ ...manifest.dependencies, ...manifest.devDependencies })
    .filter(([name, version]) => version !== (name.startsWith('@strata/') ? 'workspace:*' : 'catalog:'))
    .map(([name, version]) => `${name} is ${version}, not ${name.startsWith('@strata/') ? 'workspace:*' : 'catalog:'}`)
}
