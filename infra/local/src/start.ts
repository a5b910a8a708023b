// What `npm start` runs.
import { fileURLToPath } from 'node:url'
import { runLocal } from './local.ts'

const fromRoot = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

process.exit(
  await runLocal({
    api: fromRoot('apps/api/src/main.ts'),
    worker: fromRoot('apps/worker/src/main.ts'),
    dataDir: fromRoot('.strata'),
  }),
)
