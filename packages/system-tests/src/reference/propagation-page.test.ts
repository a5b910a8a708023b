import { expect, it } from 'vitest'
import { printPropagation } from './propagation-page.ts'

it('the page of propagation is what the table says', async () => {
  await expect(printPropagation()).toMatchFileSnapshot('../../../../docs/reference/propagation.md')
})
