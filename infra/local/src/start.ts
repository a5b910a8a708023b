// What `npm start` runs.
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runLocal } from './local.ts'

const fromRoot = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

process.exit(
  await runLocal({
    api: fromRoot('apps/api/src/main.ts'),
    worker: fromRoot('apps/worker/src/main.ts'),
    configs: [fromRoot('apps/api/src/config.ts'), fromRoot('apps/worker/src/config.ts')],
    dataDir: resolve(fromRoot('.'), process.env['STRATA_DATA'] || '.strata'),
  }),
)
