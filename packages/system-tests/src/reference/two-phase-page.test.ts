import { expect, it } from 'vitest'
import { printTwoPhase } from './two-phase-page.ts'

it('the page of two-phase commit is what the table says', async () => {
  await expect(printTwoPhase()).toMatchFileSnapshot('../../../../docs/reference/two-phase-commit.md')
})
