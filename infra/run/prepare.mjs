// Brings what the jobs run on: the pinned Node and pnpm into .tools/, the packages into node_modules/.
// A first run says what it does; a later one finds everything and is silent.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { run } from './child.mjs'
import { withLock } from './lock.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const toolsRoot = join(root, '.tools')

const say = line => process.stderr.write(`${line}\n`)

/** The versions are pinned where other tools look for them, and nowhere else. */
function pins() {
  const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return { node: readFileSync(join(root, '.node-version'), 'utf8').trim(), pnpm: packageManager.replace('pnpm@', '') }
}

async function step(title, action) {
  say(title)
  const startedMs = Date.now()
  const seconds = () => ((Date.now() - startedMs) / 1000).toFixed(1)
  await action(seconds)
  say(`      done in ${seconds()} s`)
}

function npm(args, env) {
  // Under `npm run` its own program is known; it may be missing from the PATH.
  const cli = process.env.npm_execpath ?? ''
  const [program, ...before] = cli.endsWith('npm-cli.js') ? [process.execPath, cli] : ['npm']
  return run(program, [...before, ...args], { env, stdio: ['ignore', 2, 2] }).catch(error => {
    throw new Error(`npm could not be run (${error.message}): install Node together with npm`)
  })
}

/** Installs beside the target and renames: the target is there as a whole or not at all. */
async function bringTools(target, { node, pnpm }, seconds) {
  for (const name of readdirSync(toolsRoot)) {
    if (name.startsWith('partial-')) rmSync(join(toolsRoot, name), { recursive: true, force: true })
  }
  const partial = join(toolsRoot, `partial-${process.pid}`)
  mkdirSync(partial)
  const flags = [
    '--no-save',
    '--no-package-lock',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
    '--ignore-scripts=false',
  ]
  const patience = ['--fetch-retries=2', '--fetch-retry-mintimeout=1000', '--fetch-retry-maxtimeout=5000']
  // npm shows nothing of its progress where there is no terminal.
  const alive = setInterval(() => say(`      ${seconds()} s ...`), 5000)
  const { code } = await npm(
    ['install', '--prefix', partial, ...flags, ...patience, `node@${node}`, `pnpm@${pnpm}`],
    process.env,
  ).finally(() => clearInterval(alive))
  const program = join(partial, 'node_modules', '.bin', 'node')
  if (code !== 0 || !existsSync(program)) {
    rmSync(partial, { recursive: true, force: true })
    throw new Error(
      `Set-up failed: npm could not bring node@${node} and pnpm@${pnpm} (exit ${code}, its message is above). ` +
        'If the network, a proxy or a registry is the cause (npm ping tells), mend that and run the same command again',
    )
  }
  renameSync(partial, target)
}

// The lockfile's hashes are checked either way. Checking its 446 entries against the registry's metadata once more is
// left to `npm run lock`, where it changes: here it costs every first run 6 s and, without a network, 84 s of retries.
const trust = ['--trust-lockfile', '--config.confirmModulesPurge=false']
const pnpmInstall = ['install', '--frozen-lockfile', '--prod=false', ...trust]

/** True when the packages of the lockfile are there. Asks no registry, so it takes 0.1 s and needs no network. */
async function packagesAreInstalled(env) {
  try {
    const installed = readFileSync(join(root, 'node_modules/.pnpm/lock.yaml'))
    if (!installed.equals(readFileSync(join(root, 'pnpm-lock.yaml')))) return false
  } catch {
    return false
  }
  const args = [...pnpmInstall, '--offline', '--silent']
  const { code } = await run('pnpm', args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  return code === 0
}

async function installPackages(env) {
  const patience = ['fetchRetries=2', 'fetchRetryMintimeout=1000', 'fetchRetryMaxtimeout=5000'].map(
    it => `--config.${it}`,
  )
  const { code } = await run('pnpm', [...pnpmInstall, ...patience], { env, stdio: ['ignore', 2, 2] })
  if (code === 0) return
  throw new Error(
    `Set-up failed: pnpm could not install the packages (exit ${code}, its message is above). ` +
      'After a change of a manifest run npm run lock; after a network failure run the same command again',
  )
}

/** Resolves with the brought node's path and the environment in which jobs run. */
export async function prepare({ install }) {
  process.chdir(root)
  const versions = pins()
  const target = join(toolsRoot, `node-${versions.node}-pnpm-${versions.pnpm}`)
  const bin = join(target, 'node_modules', '.bin')
  const path = [bin, join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter)
  const env = { ...process.env, PATH: path }
  mkdirSync(toolsRoot, { recursive: true })
  await withLock(join(toolsRoot, 'lock'), say, async () => {
    if (!existsSync(target)) {
      const title = `[1/2] Bringing Node ${versions.node} and pnpm ${versions.pnpm} from npm into .tools/ (once, about 100 MB)`
      await step(title, seconds => bringTools(target, versions, seconds))
    }
    if (!install || (await packagesAreInstalled(env))) return
    await step('[2/2] Installing the packages of pnpm-lock.yaml', () => installPackages(env))
  })
  return { node: join(bin, 'node'), env }
}
