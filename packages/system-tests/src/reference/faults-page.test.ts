import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { faults } from '../chaos/faults.ts'
import { breachKinds } from '../transactions/checker.ts'
import { transactionFaults } from '../transactions/faults.ts'

const read = (page: string) => readFileSync(new URL(`../../../../docs/${page}`, import.meta.url), 'utf8')

it.each([
  ['faults.md', faults],
  ['transaction-faults.md', transactionFaults],
])('%s tells every fault of its matrix in its own words, and no other', (page, all) => {
  const told = read(page).match(/^\| `[a-z-]+` \| [A-Z].*$/gm) ?? []
  expect(told.sort()).toEqual(all.map(({ name, about }) => `| \`${name}\` | ${about} |`).sort())
})

it('transaction-faults.md has whole figures: every fault, twenty rounds each, and no breach', () => {
  const rows = read('transaction-faults.md').match(/^\| `[a-z-]+` \| [0-9].*$/gm) ?? []
  const ends = new RegExp(`^\\| \`([a-z-]+)\` \\| 20 \\| .*(\\| 0 ){${breachKinds.length}}\\|$`)
  expect(rows.map(row => ends.exec(row)?.[1])).toEqual(transactionFaults.map(({ name }) => name))
})
