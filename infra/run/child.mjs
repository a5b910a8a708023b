// Runs one child so that signals, limits and exit codes behave the same for set-up steps and jobs.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'

/** A terminal's Ctrl-C comes twice, from the terminal and from npm: what follows within this time is the same one. */
const SAME_SIGNAL_MS = 1500
/** Longer than the 15 s in which a job stops by itself. */
const STOP_LIMIT_MS = 20_000

/**
 * Resolves with the child's exit code (128 + n when a signal ended it) and, for piped stdio, its output.
 * The child has a process group of its own: it gets each signal once, from here, and a job that does not stop is
 * killed with all it started. An 'ipc' entry in `stdio` tells it when this process is gone without a word.
 */
export function run(program, args, { env, stdio, limitMs }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env, stdio, detached: true })
    const output = []
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', chunk => output.push(chunk))

    const killGroup = signal => {
      try {
        process.kill(-child.pid, signal)
      } catch {} // nothing of the group is left
    }
    let stoppingSince
    const timers = []
    const later = (ms, action) => timers.push(setTimeout(action, ms))
    const stop = signal => {
      if (stoppingSince === undefined) {
        stoppingSince = Date.now()
        child.kill(signal)
        later(STOP_LIMIT_MS, () => killGroup('SIGKILL'))
      } else if (Date.now() - stoppingSince > SAME_SIGNAL_MS) killGroup('SIGKILL')
    }
    const handlers = { SIGINT: stop, SIGTERM: stop, SIGHUP: () => stop('SIGTERM') }
    for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler)
    // npm tells nobody when it is killed; its child is then given another parent.
    const parent = process.ppid
    const orphaned = setInterval(() => process.ppid !== parent && stoppingSince === undefined && stop('SIGTERM'), 1000)
    if (limitMs !== undefined) {
      later(limitMs, () => {
        process.stderr.write(`Stopped: this took longer than its limit of ${limitMs / 60_000} minutes\n`)
        stop('SIGTERM')
      })
    }

    const settle = () => {
      clearInterval(orphaned)
      for (const timer of timers) clearTimeout(timer)
      for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler)
    }
    child.on('error', error => {
      settle()
      reject(error)
    })
    child.on('close', (code, signal) => {
      settle()
      killGroup('SIGTERM')
      resolve({ code: code ?? 128 + constants.signals[signal], output: Buffer.concat(output).toString() })
    })
  })
}
