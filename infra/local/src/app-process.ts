import { type ChildProcess, spawn } from 'node:child_process'

/** Enough to show why a process died. */
const TAIL_LINES = 12

/** One process of ours, started from source and told over its ipc channel when this process is gone. */
export interface AppProcess {
  readonly name: string
  /** Settles when it ended; never rejects. */
  readonly ended: Promise<ProcessEnd>
  /** The first message of this type. @throws EndedEarly when it ends before; an error after `limitMs`. */
  message(type: string, limitMs: number): Promise<Readonly<Record<string, unknown>>>
  /** Asks it to end, kills it after `limitMs`. Resolves with how it ended, at once when it already had. */
  stop(limitMs: number): Promise<ProcessEnd>
}

export interface ProcessEnd {
  readonly name: string
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The last lines it wrote. */
  readonly tail: string
}

/** An app process ended although nobody asked it to. */
export class EndedEarly extends Error {
  readonly end: ProcessEnd
  constructor(end: ProcessEnd, when = '') {
    const how = `(${end.signal ?? `exit ${end.code}`})${when === '' ? '' : ` ${when}`}`
    super(`The ${end.name} ended by itself ${how}; its last lines were:\n${end.tail}`)
    this.end = end
  }
}

/** Starts `file` with this Node. What it writes goes to stderr: stdout is for what the local start has to say. */
export function startApp(name: string, file: string, env: NodeJS.ProcessEnv): AppProcess {
  const child = spawn(process.execPath, ['--conditions=@strata/source', file], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const tail = forward(child)
  const ended = new Promise<ProcessEnd>(resolve => {
    child.once('error', error => resolve({ name, code: null, signal: null, tail: error.message }))
    child.once('close', (code, signal) => resolve({ name, code, signal, tail: tail() }))
  })
  const message = async (type: string, limitMs: number) => {
    const came = waitForMessage(child, type)
    const late = timeout(limitMs, () => new Error(`The ${name} was not ready within ${limitMs / 1000} s`))
    const early = ended.then(end => Promise.reject(new EndedEarly(end)))
    return Promise.race([came, late.promise, early]).finally(late.cancel)
  }
  const stop = (limitMs: number) => {
    child.kill('SIGTERM')
    const kill = setTimeout(() => child.kill('SIGKILL'), limitMs)
    return ended.finally(() => clearTimeout(kill))
  }
  return { name, ended, message, stop }
}

function forward({ stdout, stderr }: ChildProcess): () => string {
  let tail = ''
  for (const stream of [stdout, stderr]) {
    stream?.setEncoding('utf8')
    stream?.on('data', (text: string) => {
      process.stderr.write(text)
      tail = (tail + text).split('\n').slice(-TAIL_LINES).join('\n')
    })
  }
  return () => tail.trimEnd()
}

function waitForMessage(child: ChildProcess, type: string): Promise<Readonly<Record<string, unknown>>> {
  return new Promise(resolve => {
    child.on('message', (message: Readonly<Record<string, unknown>> | null) => {
      if (message?.['type'] === type) resolve(message)
    })
  })
}

function timeout(limitMs: number, failure: () => Error) {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(failure()), limitMs)
  return { promise, cancel: () => clearTimeout(timer) }
}
