import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Manifest {
  readonly name: string
  readonly private?: boolean
  readonly type?: string
  readonly license?: string
  readonly exports?: Record<string, unknown>
  readonly scripts?: Record<string, string>
  readonly dependencies?: Record<string, string>
  readonly devDependencies?: Record<string, string>
  readonly peerDependencies?: Record<string, string>
  readonly optionalDependencies?: Record<string, string>
}

export interface Source {
  /** Relative to its package. */
  readonly path: string
  readonly text: string
}

export interface Package {
  /** Relative to the root: `packages/mongo`. */
  readonly folder: string
  readonly manifest: Manifest
  readonly sources: readonly Source[]
}

export interface Workspace {
  readonly root: string
  readonly manifest: Manifest
  readonly packages: readonly Package[]
}

const BUILT = new Set(['node_modules', 'dist', '.turbo'])

/** Reads what the rules look at. A folder without a manifest (infra/run) belongs to the root and is none of theirs. */
export function readWorkspace(root: string): Workspace {
  const folders = globSync('{apps,packages,infra}/*', { cwd: root }).filter(folder =>
    existsSync(join(root, folder, 'package.json')),
  )
  return {
    root,
    manifest: readManifest(root),
    packages: folders.sort().map(folder => ({
      folder,
      manifest: readManifest(join(root, folder)),
      sources: readSources(join(root, folder)),
    })),
  }
}

/** Every file of code below `folder` that a person wrote. */
export function readSources(folder: string): Source[] {
  return globSync('**/*.{ts,mts,js,mjs}', { cwd: folder, exclude: entry => BUILT.has(entry.split('/').at(-1) ?? '') })
    .sort()
    .map(path => ({ path, text: readFileSync(join(folder, path), 'utf8') }))
}

function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest
}

// TypeScript 7 has no parser to call from here. A statement at the start of its line, or a call, cannot be mistaken
// for a comment or for a string in a test as long as the formatter has run, and `npm run check` runs it first.
const STATEMENT = /^\s*(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*'([^']+)'/gm
const CALL = /(?<!\/\/.*|\*.*)\b(?:import|require)\('([^'$]+)'\)/g

/** The specifiers a file imports or re-exports, types included. */
export function importsOf({ text }: Source): string[] {
  return [STATEMENT, CALL].flatMap(pattern => [...text.matchAll(pattern)].map(match => match[1] ?? ''))
}
