import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { withDefaults } from '../arguments.ts'
import { type DataFolder, openDataFolder } from '../data-folder.ts'
import { diagnose } from '../log-diagnosis.ts'
import { checkMongoUrl } from '../mongo-url.ts'
import { mongodArguments } from '../mongod-arguments.ts'
import { choosePort, LOOPBACK } from '../port.ts'
import { formReplicaSet, REPLICA_SET, wrongSize } from '../replica-set.ts'
import type { Order, RunningServer } from '../server-kind.ts'
import { dataSource } from './data-source.ts'
import { type Engine, fetchImage, findEngine } from './engine.ts'
import { type RunningContainer, runContainer } from './run-container.ts'

const IMAGE = 'mongo:8.0.15'
const START_DEADLINE_MS = 60_000
const STOP_GRACE_MS = 5000
const DATA = '/data/db'

/** What every member of one set is started with. */
interface Plan {
  readonly engine: Engine
  readonly image: string
  readonly folder: DataFolder
  readonly order: Order
  readonly ports: readonly number[]
}

/**
 * Starts a replica set in containers. A member listens inside on the very port that is published outside, and all
 * share the first one's network: so 127.0.0.1 and that port is the member's one address, true for the driver outside,
 * for the other members, and for the member when it looks for itself.
 */
export async function launchMongoContainer(order: Order): Promise<RunningServer> {
  const engine = await findEngine()
  const image = order.env['STRATA_MONGO_IMAGE'] || IMAGE
  await fetchImage(engine, image, line => order.report(`MongoDB: ${line}`))
  const folder = await openDataFolder(order.dataDir, 'mongo')
  try {
    const last = folder.last.ports
    if (last.length > 0 && last.length !== order.members) throw wrongSize(last.length, order.members)
    const ports: number[] = []
    for (let i = 0; i < order.members; i++) ports.push(await choosePort(last[i]))
    return await startSet({ engine, image, folder, order, ports })
  } catch (error) {
    folder.close()
    throw error
  }
}

async function startSet(plan: Plan): Promise<RunningServer> {
  const { ports, folder, image } = plan
  const members: RunningContainer[] = []
  const stopAll = async (): Promise<void> => {
    // The first last: the others live in its network.
    await Promise.all(members.slice(1).map(each => each.stop()))
    await members[0]?.stop()
  }
  const hosts = ports.map(port => `${LOOPBACK}:${port}`)
  try {
    for (const index of ports.keys()) members.push(await startMember(plan, index, members[0]?.id))
    folder.save({ ports, processes: [] })
    const hasFailed = (): boolean => members.some(each => each.hasExited())
    await formReplicaSet({ hosts, deadlineMs: START_DEADLINE_MS, hasFailed })
  } catch (error) {
    const failed = members.find(each => each.hasExited())
    await stopAll()
    throw failed === undefined ? error : diagnose(failed.logTail(), folder.path, image)
  }
  const url = `mongodb://${hosts.join(',')}/?replicaSet=${REPLICA_SET}`
  const { version } = await checkMongoUrl(url)
  return {
    url,
    version,
    place: image,
    members: [],
    exited: Promise.race(members.map(each => each.lost)),
    kill: async (signal = 'SIGKILL') => {
      await Promise.all(members.map(each => each.kill(signal)))
    },
    stop: async () => {
      await stopAll()
      folder.close()
    },
  }
}

function startMember(plan: Plan, index: number, first: string | undefined): Promise<RunningContainer> {
  const { engine, image, folder, order, ports } = plan
  const own = join(folder.path, `data-${index}`)
  if (!folder.temporary) mkdirSync(own, { recursive: true })
  // Inside, every address of the container; outside, what is published is on loopback alone.
  const defaults = mongodArguments({ dbpath: DATA, port: ports[index] ?? 0, bind: '0.0.0.0', set: REPLICA_SET })
  return runContainer({
    engine,
    image,
    args: withDefaults(defaults, order.args),
    ports,
    ...(folder.temporary ? {} : { data: { source: dataSource(own), target: DATA } }),
    ...(first === undefined ? {} : { networkOf: first }),
    graceMs: folder.temporary ? 0 : STOP_GRACE_MS,
  })
}
