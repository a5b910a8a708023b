import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'

const runFolder = new URL('../../run/', import.meta.url)

/** A process that runs `child` (a script) the way run.mjs runs a job, and exits as it does. */
function parentOf(child: string, options = '', underShell = false): { parent: ChildProcess; output: () => string } {
  const script = `
    const { run } = await import(${JSON.stringify(new URL('child.mjs', runFolder).href)})
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc']
    const { code } = await run(process.execPath, ['-e', ${JSON.stringify(child)}], { env: process.env, stdio ${options} })
    process.exitCode = code`
  const command = [process.execPath, '--input-type=module', '-e', script]
  const [program = '', ...args] = underShell ? ['sh', '-c', '"$0" "$@"; exit 1', ...command] : command
  const parent = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let text = ''
  parent.stdout.on('data', chunk => {
    text += chunk
  })
  onTestFinished(() => void parent.kill('SIGKILL'))
  return { parent, output: () => text }
}

/** Waits until the child has written its first line, so that its handlers are in place. */
async function started({ parent, output }: ReturnType<typeof parentOf>): Promise<void> {
  while (output() === '') await once(parent.stdout ?? parent, 'data')
}

const ended = async ({ parent }: ReturnType<typeof parentOf>) => (await once(parent, 'close'))[0]

describe('the root commands', () => {
  test('every script of package.json is a job, called with exec so that signals arrive', () => {
    const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', runFolder), 'utf8')) as {
      scripts: Record<string, string>
    }
    for (const [name, script] of Object.entries(scripts)) expect(script).toBe(`exec node infra/run/run.mjs ${name}`)
  })

  test('an unknown job ends with 2 and lists the jobs', async () => {
    const run = spawn(process.execPath, [fileURLToPath(new URL('run.mjs', runFolder)), 'tset'], { stdio: 'pipe' })
    let text = ''
    run.stderr.on('data', chunk => {
      text += chunk
    })
    expect((await once(run, 'close'))[0]).toBe(2)
    expect(text).toContain('Unknown job "tset"')
    expect(text).toMatch(/^ {2}start .*\n {2}test /m)
  })

  test('the flags of the long suites go by environment, and leave the others to vitest', async () => {
    const { jobs, takeFlags } = await import(new URL('jobs.mjs', runFolder).href)
    const args = ['--fault', 'kill-worker', '--bail=1', '--seeds=20', '-t', 'name', '--from', '7']
    expect(takeFlags(jobs['test:chaos'].flags, args)).toEqual({
      env: { STRATA_FAULT: 'kill-worker', STRATA_SEEDS: '20', STRATA_SEED: '7' },
      rest: ['--bail=1', '-t', 'name'],
    })
    expect(takeFlags({}, args)).toEqual({ env: {}, rest: args })
    for (const wrong of [['--seeds'], ['--seeds='], ['--seeds', '--from']])
      expect(() => takeFlags(jobs['test:chaos'].flags, wrong)).toThrow('--seeds needs a value')
  })

  test('the exit code of a job passes through', async () => {
    expect(await ended(parentOf('process.exit(7)'))).toBe(7)
  })

  test('a job ended by a signal is 128 and its number', async () => {
    expect(await ended(parentOf('process.kill(process.pid, "SIGKILL")'))).toBe(137)
  })

  test('a signal that comes twice reaches the job once', async () => {
    const child = `
      let count = 0
      process.on('SIGINT', () => { if (++count === 1) setTimeout(() => process.exit(count), 500) })
      setInterval(() => {}, 1000); console.log('ready')`
    const running = parentOf(child)
    await started(running)
    running.parent.kill('SIGINT')
    running.parent.kill('SIGINT')
    expect(await ended(running)).toBe(1)
  })

  test('a job that is over its limit is stopped', async () => {
    const running = parentOf('setInterval(() => {}, 1000)', ', limitMs: 300')
    expect(await ended(running)).toBe(143)
  })

  test('a job is stopped when the npm above it is killed', async () => {
    const child = `process.on('SIGTERM', () => { console.log('stopped'); process.exit() })
      setInterval(() => {}, 1000); console.log('ready')`
    const running = parentOf(child, '', true)
    await started(running)
    running.parent.kill('SIGKILL')
    await ended(running)
    expect(running.output()).toBe('ready\nstopped\n')
  })

  test('a job hears of it when the process that runs it is killed', async () => {
    const child = `process.on('disconnect', () => { console.log('alone'); process.exit() }); console.log('ready')`
    const running = parentOf(child)
    await started(running)
    running.parent.kill('SIGKILL')
    await ended(running)
    expect(running.output()).toBe('ready\nalone\n')
  })
})
