import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { medianLines, treeBreaches } from './tree-rules.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

function plant(path: string, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'strata-tree-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  mkdirSync(join(folder, path, '..'), { recursive: true })
  writeFileSync(join(folder, path), text)
  return folder
}

describe('files', () => {
  test('none is longer than 400 lines or lies under a name that means nothing', () => {
    expect(treeBreaches(root)).toEqual([])
    console.info(`median file: ${medianLines(root)} lines (below 100 is the aim)`)
  })

  test('a file that is too long is reported', () => {
    expect(treeBreaches(plant('src/a.ts', 'x\n'.repeat(401)))).toEqual([
      'src/a.ts: 401 lines, at most 400: split it by noun',
    ])
  })

  test('a folder and a file without a noun are reported', () => {
    expect(treeBreaches(plant('src/utils/a.ts', ''))).toHaveLength(1)
    expect(treeBreaches(plant('src/helpers.test.ts', ''))).toHaveLength(1)
  })
})
