import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { breachKinds } from '../inbox/checker.ts'
import { inboxFaults } from '../inbox/faults.ts'

const page = readFileSync(new URL('../../../../docs/inbox.md', import.meta.url), 'utf8')

it('the page of the inbox tells every step in its own words, and nothing else', () => {
  const told = page.match(/^\| `[a-z-]+` \| [A-Z].*$/gm) ?? []
  expect(told.sort()).toEqual(inboxFaults.map(({ name, about }) => `| \`${name}\` | ${about} |`).sort())
})

it('the page of the inbox tells what a round fails with', () => {
  for (const kind of breachKinds) expect(page).toContain(`\n| \`${kind}\` | `)
})
