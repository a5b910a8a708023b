import { type ChildProcess, spawn } from 'node:child_process'
import { TestkitError } from './errors.ts'
import { guard } from './watchdog/guardian.ts'
import { identify } from './watchdog/process-identity.ts'

const TAIL_CHARACTERS = 64 * 1024

/** How a process is started. */
export interface SpawnOptions {
  readonly args?: readonly string[]
  /** Added to this process's environment; undefined removes a variable. */
  readonly env?: NodeJS.ProcessEnv
  /** Opens a channel for `send` and `nextMessage`. */
  readonly ipc?: boolean
}

/** How a process ended. */
export interface ProcessEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A process of the project, run from source. */
export interface NodeProcess extends AsyncDisposable {
  readonly pid: number
  readonly exited: Promise<ProcessEnd>
  /** The end of what it wrote, 64 KiB at most. */
  readonly stdout: () => string
  readonly stderr: () => string
  kill(signal?: NodeJS.Signals): void
  /** Sends over the channel. @throws PROCESS_FAILED without one, or when it is closed. */
  send(message: unknown): void
  /**
   * The next message that `matches`; those before it are kept for other calls.
   * @throws WAIT_TIMEOUT after `deadlineMs`; PROCESS_FAILED, with the end of stderr, if the process ends first.
   */
  nextMessage<T>(matches: (message: unknown) => message is T, deadlineMs: number): Promise<T>
}

/**
 * Starts a source file under this Node, reading the workspace's packages from source. It is in a process group of its
 * own, so signals reach it through `kill` only, and it ends within 10 s of this process, however that one ends.
 * @throws PROCESS_FAILED when it cannot be started at all.
 */
export async function spawnNode(file: string, options: SpawnOptions = {}): Promise<NodeProcess> {
  const child = spawn(process.execPath, ['--conditions=@strata/source', file, ...(options.args ?? [])], {
    env: { ...process.env, ...options.env },
    detached: true,
    stdio: options.ipc === true ? ['ignore', 'pipe', 'pipe', 'ipc'] : ['ignore', 'pipe', 'pipe'],
  })
  const identity = child.pid === undefined ? undefined : identify(child.pid)
  const release = identity === undefined ? () => {} : guard({ what: 'process', ...identity, graceMs: 0 })
  const exited = new Promise<ProcessEnd>(resolve => {
    child.once('close', (code, signal) => {
      release()
      resolve({ code, signal })
    })
  })
  const stdout = collectTail(child.stdout)
  const stderr = collectTail(child.stderr)
  const inbox = openInbox(child, { file, stderr, exited })
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve)
    child.once('error', cause => reject(new TestkitError('PROCESS_FAILED', `${file} could not be started`, { cause })))
  })
  // Later errors are those of the channel; whoever waits for a message hears of them by the process's end.
  child.on('error', () => {})
  const kill = (signal: NodeJS.Signals = 'SIGTERM'): void => {
    child.kill(signal)
  }
  const end = async (): Promise<void> => {
    kill('SIGKILL')
    await exited
  }
  return { pid: child.pid ?? 0, exited, stdout, stderr, kill, ...inbox, [Symbol.asyncDispose]: end }
}

function collectTail(stream: NodeJS.ReadableStream | null): () => string {
  let tail = ''
  stream?.setEncoding('utf8')
  stream?.on('data', (text: string) => {
    tail = (tail + text).slice(-TAIL_CHARACTERS)
  })
  return () => tail
}

interface Source {
  readonly file: string
  readonly stderr: () => string
  readonly exited: Promise<ProcessEnd>
}

function openInbox(child: ChildProcess, { file, stderr, exited }: Source): Pick<NodeProcess, 'send' | 'nextMessage'> {
  const messages: unknown[] = []
  const readers = new Set<() => void>()
  child.on('message', message => {
    messages.push(message)
    for (const read of readers) read()
  })
  const send = (message: unknown): void => {
    if (!child.connected)
      throw new TestkitError('PROCESS_FAILED', `${file} has no open channel; start it with ipc: true`)
    child.send(message as object, () => {})
  }
  const nextMessage = <T>(matches: (message: unknown) => message is T, deadlineMs: number): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const read = (): void => {
      const index = messages.findIndex(matches)
      if (index < 0) return
      // At once, not when the promise has settled: a second message of the same tick would be taken and lost.
      readers.delete(read)
      resolve(messages.splice(index, 1)[0] as T)
    }
    const late = `No such message from ${file} within ${deadlineMs} ms`
    const timer = setTimeout(() => reject(new TestkitError('WAIT_TIMEOUT', late)), deadlineMs)
    void exited.then(end => {
      const text = `${file} ended (${end.signal ?? end.code}) before the message came\n${stderr().slice(-2000)}`
      reject(new TestkitError('PROCESS_FAILED', text, { details: { ...end } }))
    })
    readers.add(read)
    read()
    return promise.finally(() => {
      clearTimeout(timer)
      readers.delete(read)
    })
  }
  return { send, nextMessage }
}
