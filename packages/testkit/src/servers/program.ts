import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { guard } from '../watchdog/guardian.ts'
import { identify, type ProcessIdentity, signalProcess } from '../watchdog/process-identity.ts'
import type { ServerEnd } from './server-kind.ts'

const LOG_TAIL_BYTES = 16_384

/** What to run, and how it may be ended. */
export interface ProgramOptions {
  readonly file: string
  readonly args: readonly string[]
  readonly cwd: string
  /** Its stdout and stderr; overwritten at each start, so that it cannot grow from start to start. */
  readonly logFile: string
  /** Milliseconds between SIGTERM and SIGKILL; 0: SIGKILL at once, for data nobody needs. */
  readonly graceMs: number
}

/** A server program that runs. It ends with this process, also when this process is killed. */
export interface RunningProgram {
  readonly identity: ProcessIdentity
  readonly exited: Promise<void>
  /** Settles when it ends and `stop` has not been called; stays open otherwise. */
  readonly lost: Promise<ServerEnd>
  hasExited(): boolean
  logTail(): string
  kill(signal: NodeJS.Signals): void
  /** Ends it within `graceMs` and a moment; idempotent. */
  stop(): Promise<void>
}

/** Starts a program in a process group of its own, where a terminal's Ctrl-C does not reach it before its turn. */
export async function runProgram(options: ProgramOptions): Promise<RunningProgram> {
  const log = openSync(options.logFile, 'w')
  const child = spawn(options.file, options.args, { cwd: options.cwd, detached: true, stdio: ['ignore', log, log] })
  closeSync(log)
  const identity = child.pid === undefined ? undefined : identify(child.pid)
  const release = identity === undefined ? () => {} : guard({ what: 'process', ...identity, graceMs: options.graceMs })
  let ended = false
  let isStopping = false
  const lost = Promise.withResolvers<ServerEnd>()
  const exited = new Promise<void>(resolve => {
    child.once('exit', (code, signal) => {
      ended = true
      release()
      resolve()
      if (!isStopping) lost.resolve({ program: basename(options.file), pid: child.pid, code, signal })
    })
  })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', reject)
  })
  child.unref()
  const kill = (signal: NodeJS.Signals): void => {
    if (!ended) child.kill(signal)
  }
  return {
    identity: identity ?? { pid: child.pid ?? 0, startTime: '' },
    exited,
    lost: lost.promise,
    hasExited: () => ended,
    logTail: () => readFileSync(options.logFile, 'utf8').slice(-LOG_TAIL_BYTES),
    kill,
    stop: () => {
      isStopping = true
      return stopProgram({ kill, exited, hasExited: () => ended }, options.graceMs)
    },
  }
}

/** Ends a program of an earlier run that has outlived its parent; within `graceMs` and a moment. */
export async function endLeftover(leftover: ProcessIdentity, graceMs: number): Promise<void> {
  const isGone = (): boolean => !signalProcess(leftover, 'SIGTERM')
  const end = Date.now() + graceMs
  while (!isGone() && Date.now() < end) await new Promise(resolve => setTimeout(resolve, 100))
  signalProcess(leftover, 'SIGKILL')
}

type Stoppable = Pick<RunningProgram, 'kill' | 'exited' | 'hasExited'>

async function stopProgram(program: Stoppable, graceMs: number): Promise<void> {
  if (program.hasExited()) return
  const last = setTimeout(() => program.kill('SIGKILL'), graceMs)
  try {
    program.kill(graceMs > 0 ? 'SIGTERM' : 'SIGKILL')
    await untilExited(program)
  } finally {
    clearTimeout(last)
  }
}

/** Resolves when it has ended, and keeps this process running until then: the child itself is unreferenced. */
export async function untilExited({ exited }: Pick<RunningProgram, 'exited'>): Promise<void> {
  const alive = setInterval(() => {}, 1000)
  await exited
  clearInterval(alive)
}
