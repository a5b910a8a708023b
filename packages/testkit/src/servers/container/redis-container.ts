import { withDefaults } from '../arguments.ts'
import { type DataFolder, openDataFolder } from '../data-folder.ts'
import { diagnose } from '../log-diagnosis.ts'
import { choosePort, LOOPBACK } from '../port.ts'
import { redisArguments } from '../redis-arguments.ts'
import { redisReady } from '../redis-ready.ts'
import { checkRedisUrl } from '../redis-url.ts'
import type { Order, RunningServer } from '../server-kind.ts'
import { dataSource } from './data-source.ts'
import { type Engine, fetchImage, findEngine } from './engine.ts'
import { runContainer } from './run-container.ts'

const IMAGE = 'valkey/valkey:8.1.8'
const STOP_GRACE_MS = 5000
const DATA = '/data'

/** Starts Redis in a container, on the same terms as the program. */
export async function launchRedisContainer(order: Order): Promise<RunningServer> {
  const engine = await findEngine()
  const image = order.env['STRATA_REDIS_IMAGE'] || IMAGE
  await fetchImage(engine, image, line => order.report(`Redis: ${line}`))
  const folder = await openDataFolder(order.dataDir, 'redis')
  try {
    return await startIn(folder, { engine, image, args: order.args })
  } catch (error) {
    folder.close()
    throw error
  }
}

interface Plan {
  readonly engine: Engine
  readonly image: string
  readonly args: readonly string[]
}

async function startIn(folder: DataFolder, { engine, image, args }: Plan): Promise<RunningServer> {
  const port = await choosePort(folder.last.ports[0])
  const container = await runContainer({
    engine,
    image,
    // Inside, every address of the container and no guard against strangers; what is published is on loopback alone.
    args: withDefaults({ ...redisArguments({ dir: DATA, port, bind: '0.0.0.0' }), '--protected-mode': 'no' }, args),
    ports: [port],
    ...(folder.temporary ? {} : { data: { source: dataSource(folder.path), target: DATA } }),
    graceMs: folder.temporary ? 0 : STOP_GRACE_MS,
  })
  const url = `redis://${LOOPBACK}:${port}`
  try {
    await redisReady(port, container.hasExited)
    const { version } = await checkRedisUrl(url)
    folder.save({ ports: [port], processes: [] })
    const kill = (signal: NodeJS.Signals = 'SIGKILL'): Promise<void> => container.kill(signal)
    const stop = async (): Promise<void> => {
      await container.stop()
      folder.close()
    }
    return { url, version, place: image, members: [], exited: container.lost, kill, stop }
  } catch (error) {
    const hasFailed = container.hasExited()
    await container.stop()
    throw hasFailed ? diagnose(container.logTail(), folder.path, image) : error
  }
}
