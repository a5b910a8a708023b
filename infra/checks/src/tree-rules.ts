import { basename } from 'node:path'
import { readSources, type Source } from './workspace.ts'

/** Names that say nothing of what is inside, so that anything ends up there. */
const NAMELESS = /^(?:utils?|helpers?|common|misc|shared|types|interfaces)$/
const LINES_MAX = 400

const lines = ({ text }: Source) => text.trimEnd().split('\n').length

/** Every file of ours that is too long, or lies under a name that means nothing. */
export function treeBreaches(root: string): string[] {
  return readSources(root).flatMap(source => [
    ...(lines(source) > LINES_MAX
      ? [`${source.path}: ${lines(source)} lines, at most ${LINES_MAX}: split it by noun`]
      : []),
    ...source.path
      .split('/')
      .map(part => basename(part).replace(/\..*/, ''))
      .filter(name => NAMELESS.test(name))
      .map(name => `${source.path}: "${name}" does not say what it holds: name the noun`),
  ])
}

/** The size most files should stay below; reported, not enforced. */
export function medianLines(root: string): number {
  const sizes = readSources(root)
    .map(lines)
    .sort((a, b) => a - b)
  return sizes[Math.floor(sizes.length / 2)] ?? 0
}
