import { builtinModules } from 'node:module'
import { dirname, join } from 'node:path'
import { importsOf, type Package, type Source, type Workspace } from './workspace.ts'

/** Which packages of ours each one may depend on, in any field but for testkit's own rule. */
const DIRECTIONS: Record<string, readonly string[]> = {
  'packages/db-context': [],
  'packages/mongo': ['@strata/db-context'],
  'packages/queue': ['@strata/db-context'],
  'packages/consistency': ['@strata/db-context', '@strata/mongo'],
  'packages/testkit': [],
}

/** Third-party packages with one home; anybody may have them for tests, as `devDependencies`. */
const HOMES: Record<string, string> = {
  mongodb: 'packages/mongo',
  bullmq: 'packages/queue',
  ioredis: 'packages/queue',
}

const TESTKIT = '@strata/testkit'
/** Run on a developer's machine only: these may hold drivers, and the lab may depend on testkit. */
const DRIVERS_ALLOWED = new Set(['packages/testkit', 'packages/system-tests', 'apps/lab'])

const isInfra = (pkg: Package) => pkg.folder.startsWith('infra/')
/** Code that is never installed by anybody: all of it may use `devDependencies`. */
const isDevelopment = (pkg: Package) => isInfra(pkg) || pkg.folder === 'packages/system-tests'
const isTestCode = ({ path }: Source) => /^(?:test|bench)\/|\.(?:test|bench)\.ts$/.test(path)
const names = (field: Record<string, string> | undefined) => Object.keys(field ?? {})
const isOurs = (name: string) => name.startsWith('@strata/')

/** What an installation brings along; `devDependencies` are apart. */
const shippedNames = ({ manifest }: Package) =>
  [manifest.dependencies, manifest.peerDependencies, manifest.optionalDependencies].flatMap(names)

/** Every breach of the import directions, one sentence each; an empty list is a sound tree. */
export function findBreaches(workspace: Workspace): string[] {
  return workspace.packages.flatMap(pkg => [
    ...manifestBreaches(pkg, workspace),
    ...pkg.sources.flatMap(source =>
      importsOf(source).flatMap(specifier => {
        const breach = importBreach(specifier, source, { pkg, workspace })
        return breach === undefined ? [] : [`${pkg.folder}/${source.path}: ${breach}`]
      }),
    ),
  ])
}

function manifestBreaches(pkg: Package, workspace: Workspace): string[] {
  const shipped = shippedNames(pkg)
  const declared = [...shipped, ...names(pkg.manifest.devDependencies)]
  const infra = workspace.packages.filter(isInfra).map(({ manifest }) => manifest.name)
  const free = pkg.folder === 'packages/db-context' && shipped.length > 0
  return [
    ...(free ? [`has no dependency at all, so not ${shipped.join(', ')} either`] : []),
    ...declared.filter(name => infra.includes(name)).map(name => `infra is imported by no one, so not ${name} either`),
    ...declared.flatMap(name => directionBreach(name, pkg)),
    ...shipped.flatMap(name => shippedBreach(name, pkg)),
  ].map(breach => `${pkg.folder}/package.json: ${breach}`)
}

function directionBreach(name: string, pkg: Package): string[] {
  const allowed = DIRECTIONS[pkg.folder]
  if (allowed === undefined || !isOurs(name) || name === TESTKIT || allowed.includes(name)) return []
  return [`may depend on ${allowed.join(', ') || 'none of our packages'} only, not on ${name}`]
}

function shippedBreach(name: string, pkg: Package): string[] {
  if (name === TESTKIT) return pkg.folder === 'apps/lab' ? [] : [`${TESTKIT} belongs in devDependencies`]
  const home = HOMES[name]
  if (home === undefined || home === pkg.folder || DRIVERS_ALLOWED.has(pkg.folder)) return []
  return [`only ${home} ships ${name}`]
}

interface Place {
  readonly pkg: Package
  readonly workspace: Workspace
}

function importBreach(specifier: string, source: Source, { pkg, workspace }: Place): string | undefined {
  if (specifier.startsWith('node:') || builtinModules.includes(specifier)) return undefined
  if (specifier.startsWith('.')) {
    const target = join(dirname(source.path), specifier)
    return target.startsWith('..') ? `${specifier} leaves the package: import its name` : undefined
  }
  const name = packageName(specifier)
  if (isOurs(name)) {
    const breach = exportBreach(specifier, name, workspace)
    if (breach !== undefined) return breach
  }
  if (name === pkg.manifest.name) return undefined
  const shipped = shippedNames(pkg)
  if (shipped.includes(name)) return undefined
  const development = [pkg.manifest, workspace.manifest].flatMap(({ devDependencies }) => names(devDependencies))
  if (isTestCode(source) || isDevelopment(pkg)) {
    return development.includes(name) ? undefined : `${name} is not in package.json`
  }
  return `shipped code imports ${name}, which is not in dependencies`
}

/** A deep path works from source today and breaks whoever installs the package. */
function exportBreach(specifier: string, name: string, workspace: Workspace): string | undefined {
  const target = workspace.packages.find(({ manifest }) => manifest.name === name)
  const entry = `.${specifier.slice(name.length)}`
  if (target === undefined) return `there is no package ${name}`
  return target.manifest.exports?.[entry] === undefined ? `${name} does not export ${entry}` : undefined
}

function packageName(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}
