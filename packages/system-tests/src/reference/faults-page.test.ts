import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { faults } from '../chaos/faults.ts'

const page = readFileSync(new URL('../../../../docs/faults.md', import.meta.url), 'utf8')

it('the page of faults tells every fault of the matrix in its own words, and no other', () => {
  const told = page.match(/^\| `[a-z-]+` \| [A-Z].*$/gm) ?? []
  expect(told.sort()).toEqual(faults.map(({ name, about }) => `| \`${name}\` | ${about} |`).sort())
})
