import { reasonOf } from '../../errors.ts'
import { guard } from '../../watchdog/guardian.ts'
import { RungUnavailable, type ServerEnd } from '../server-kind.ts'
import type { Engine } from './engine.ts'
import { LoopbackContainer } from './loopback-container.ts'

const LOG_TAIL_CHARACTERS = 16_384

/** What to run in a container, and how it may be ended. */
export interface ContainerOptions {
  readonly engine: Engine
  readonly image: string
  readonly args: readonly string[]
  /** Ports, the same inside as outside, published on loopback. */
  readonly ports: readonly number[]
  /** Where data are kept: a folder of the host or a volume, and its place inside. Absent: they go with the container. */
  readonly data?: { readonly source: string; readonly target: string }
  /** Shares the network of this container instead of having one. */
  readonly networkOf?: string
  /** Milliseconds between SIGTERM and SIGKILL when it is stopped. */
  readonly graceMs: number
}

/** A container that runs. It is removed within 10 s of this process's end, however that one ends. */
export interface RunningContainer {
  readonly id: string
  /** Settles when it ends and `stop` has not been called; stays open otherwise. */
  readonly lost: Promise<ServerEnd>
  hasExited(): boolean
  logTail(): string
  kill(signal: NodeJS.Signals): Promise<void>
  /** Ends and removes it; idempotent. */
  stop(): Promise<void>
}

/** Starts a container and returns as soon as it runs; what runs in it may not answer yet. */
export async function runContainer(options: ContainerOptions): Promise<RunningContainer> {
  const { engine, graceMs } = options
  let log = ''
  let release: () => void = () => {}
  const container = new LoopbackContainer(options.image, containerId => {
    release = guard({ what: 'container', containerId, engine: engine.address })
  })
  container.withCommand([...options.args]).withLogConsumer(stream => {
    stream.on('data', (text: Buffer | string) => {
      log = (log + text).slice(-LOG_TAIL_CHARACTERS)
    })
  })
  if (options.networkOf !== undefined) container.withNetworkMode(`container:${options.networkOf}`)
  else container.withExposedPorts(...options.ports.map(port => ({ container: port, host: port })))
  if (options.data !== undefined) mount(container, options.data)
  const started = await container.start().catch(error => {
    throw new RungUnavailable(`the container of ${options.image} did not start: ${reasonOf(error)}`, 'see the reason')
  })
  const exit = watchExit(engine, started.getId())
  const lost = Promise.withResolvers<ServerEnd>()
  let stopped: Promise<void> | undefined
  void exit.code.then(code => {
    if (stopped === undefined) lost.resolve({ program: options.image, pid: undefined, code, signal: null })
  })
  const stop = (): Promise<void> => {
    stopped ??= started.stop({ timeout: graceMs, remove: true, removeVolumes: true }).then(release)
    return stopped
  }
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    await engine.client.container.getById(started.getId()).kill({ signal })
    if (signal === 'SIGKILL') await exit.exited
  }
  return { id: started.getId(), lost: lost.promise, hasExited: exit.hasExited, logTail: () => log, kill, stop }
}

function mount(container: LoopbackContainer, data: { source: string; target: string }): void {
  container.withBindMounts([data])
  // A folder of the host belongs to its user, and what is written there must, too: or the next start by another rung,
  // and the user's own rm, could not touch it.
  const isFolder = data.source.startsWith('/')
  if (isFolder && process.getuid !== undefined) container.withUser(`${process.getuid()}:${process.getgid?.() ?? 0}`)
}

interface Exit {
  readonly hasExited: () => boolean
  readonly exited: Promise<void>
  /** Stays open when the engine is lost: that says nothing of the container. */
  readonly code: Promise<number>
}

function watchExit(engine: Engine, id: string): Exit {
  let ended = false
  const code = Promise.withResolvers<number>()
  const waiting: Promise<{ StatusCode: number }> = engine.client.container.getById(id).wait()
  const exited = waiting.then(
    ({ StatusCode }) => {
      ended = true
      code.resolve(StatusCode)
    },
    () => {
      ended = true
    },
  )
  return { hasExited: () => ended, exited, code: code.promise }
}
