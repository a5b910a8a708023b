import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')

it('the README shows the application that the tests run', () => {
  expect(read('../../../../README.md')).toContain(`\`\`\`ts\n${read('./application.ts')}\`\`\``)
})
