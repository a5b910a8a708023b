import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const read = (path: string) => readFileSync(new URL(`../../../../${path}`, import.meta.url), 'utf8')

it('the page on contracts shows the versions that the tests run beside each other', () => {
  const [, versions = ''] = read('packages/queue/test/greet-versions.ts').split("'../src/index.ts'\n\n")
  expect(read('docs/contracts.md')).toContain(`\`\`\`ts\n${versions}\`\`\``)
})
