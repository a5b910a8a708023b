// What `npm run check` runs: fast checks without servers, in the order in which they tell most, up to the first failure.
import { spawn } from 'node:child_process'

interface Step {
  readonly title: string
  /** A program of this Node and its arguments, from the root. */
  readonly command: readonly string[]
  /** Shows the last line of the output beside the time. */
  readonly counts?: boolean
}

const vitestConfig = 'infra/checks/vitest.config.ts'

const steps: readonly Step[] = [
  { title: 'Format and lint', command: ['node_modules/@biomejs/biome/bin/biome', 'check', '--error-on-warnings'] },
  { title: 'Types', command: ['node_modules/turbo/bin/turbo', 'run', 'types', '--output-logs=errors-only'] },
  {
    title: 'Unused code',
    command: ['node_modules/knip/bin/knip.js', '--config', 'infra/checks/knip.jsonc', '--no-config-hints'],
  },
  {
    title: 'Import rules and unit tests',
    command: ['node_modules/vitest/vitest.mjs', 'run', '--config', vitestConfig, '--project', 'unit'],
    counts: true,
  },
]

const env = { ...process.env, TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1' }

/** Resolves with the exit code and both streams of the output as they came. */
function run(command: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, command, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const chunks: Buffer[] = []
    child.stdout.on('data', chunk => chunks.push(chunk))
    child.stderr.on('data', chunk => chunks.push(chunk))
    child.on('error', reject)
    child.on('close', code => resolve({ code: code ?? 1, output: Buffer.concat(chunks).toString() }))
  })
}

const secondsSince = (startedMs: number) => ((performance.now() - startedMs) / 1000).toFixed(1)
const say = (line: string) => process.stderr.write(`${line}\n`)

async function passes(step: Step, place: string): Promise<boolean> {
  say(`[${place}] ${step.title}`)
  const startedMs = performance.now()
  const { code, output } = await run(step.command)
  if (code !== 0) {
    process.stdout.write(output)
    say(`      failed after ${secondsSince(startedMs)} s (exit ${code})`)
    return false
  }
  const counts = step.counts === true ? `, ${output.trimEnd().split('\n').at(-1)}` : ''
  say(`      done in ${secondsSince(startedMs)} s${counts}`)
  return true
}

const startedMs = performance.now()
for (const [index, step] of steps.entries()) {
  if (await passes(step, `${index + 1}/${steps.length}`)) continue
  process.exitCode = 1
  break
}
if (process.exitCode === undefined) process.stdout.write(`check passed in ${secondsSince(startedMs)} s\n`)
