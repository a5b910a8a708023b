import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ContainerRuntimeClient, getContainerRuntimeClient, ImageName } from 'testcontainers'
import { reasonOf } from '../../errors.ts'
import type { ContainerCharge } from '../../watchdog/charge.ts'
import { RungUnavailable } from '../server-kind.ts'

const PULL_DEADLINE_MS = 10 * 60_000

/** A container engine on this machine. */
export interface Engine {
  readonly client: ContainerRuntimeClient
  /** Where it listens, for the watchdog. */
  readonly address: ContainerCharge['engine']
}

/** The engine that testcontainers finds; only one on this machine can give ports on loopback. */
export async function findEngine(): Promise<Engine> {
  const client = await getContainerRuntimeClient().catch(() => {
    throw new RungUnavailable('no container engine answers', 'start Docker or Podman')
  })
  const { host } = client.info.containerRuntime
  if (!(await isHere(host))) {
    throw new RungUnavailable(`the container engine is on ${host}`, 'use an engine on this machine')
  }
  // What dockerode's types leave out: the connection it has settled on.
  const { socketPath, port } = client.container.dockerode.modem as { socketPath?: string; port?: number }
  return { client, address: socketPath === undefined ? { host, port: port ?? 2375 } : { socketPath } }
}

/**
 * Whether an address is this machine's. Inside a container testcontainers names the bridge's gateway: ours when the
 * engine runs beside us, somebody else's when only its socket was handed in, and then its loopback is not our loopback.
 * Asked by listening there: the list of interfaces leaves out a bridge that has no container yet.
 */
function isHere(host: string): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen({ host, port: 0 }, () => probe.close(() => resolve(true)))
  })
}

/** Has the image here, pulling it if need be, within 10 minutes. */
export async function fetchImage(engine: Engine, image: string, report: (line: string) => void): Promise<void> {
  const name = ImageName.fromString(image)
  if (await engine.client.image.exists(name)) return
  report(`pulling the image ${image}`)
  const clock = new AbortController()
  const late = sleep(PULL_DEADLINE_MS, undefined, { signal: clock.signal }).then(() => {
    throw new Error(`not pulled within ${PULL_DEADLINE_MS / 60_000} minutes`)
  })
  try {
    await Promise.race([engine.client.image.pull(name), late])
  } catch (error) {
    const cure = 'reach an image registry, or name local images (infra/container/build-images.sh makes them)'
    throw new RungUnavailable(`the image ${image} cannot be had: ${reasonOf(error)}`, cure)
  } finally {
    clock.abort()
    late.catch(() => {})
  }
}
