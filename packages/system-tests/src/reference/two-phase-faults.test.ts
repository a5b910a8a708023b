import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { breachKinds } from '../two-phase-commit/checker.ts'
import { twoPhaseFaults } from '../two-phase-commit/faults.ts'

const page = readFileSync(new URL('../../../../docs/two-phase-commit.md', import.meta.url), 'utf8')

it('the page of two-phase commit tells everything that is killed in its own words, and nothing else', () => {
  const told = page.match(/^\| `two-phase-[a-z-]+` \| [A-Z].*$/gm) ?? []
  expect(told.sort()).toEqual(twoPhaseFaults.map(({ name, about }) => `| \`${name}\` | ${about} |`).sort())
})

it('the page of two-phase commit tells what a round fails with', () => {
  for (const kind of breachKinds) expect(page).toContain(`\n| \`${kind}\` | `)
})
