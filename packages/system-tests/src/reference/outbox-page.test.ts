import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { breachKinds } from '../outbox/checker.ts'
import { outboxFaults } from '../outbox/faults.ts'

const page = readFileSync(new URL('../../../../docs/outbox.md', import.meta.url), 'utf8')

it('the page of the outbox tells everything that is killed in its own words, and nothing else', () => {
  const told = page.match(/^\| `[a-z-]+` \| [A-Z].*$/gm) ?? []
  expect(told.sort()).toEqual(outboxFaults.map(({ name, about }) => `| \`${name}\` | ${about} |`).sort())
})

it('the page of the outbox tells what a round fails with', () => {
  for (const kind of breachKinds) expect(page).toContain(`\n| \`${kind}\` | `)
})
