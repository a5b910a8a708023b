import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { withDefaults } from './arguments.ts'
import { type DataFolder, openDataFolder } from './data-folder.ts'
import { diagnose, PortTaken } from './log-diagnosis.ts'
import { mongodArguments } from './mongod-arguments.ts'
import { moveMember } from './move-member.ts'
import { choosePort, LOOPBACK } from './port.ts'
import { type RunningProgram, runProgram, untilExited } from './program.ts'
import { formReplicaSet, REPLICA_SET, wrongSize } from './replica-set.ts'
import type { Member, Order, Program, RunningServer, ServerEnd } from './server-kind.ts'

const START_DEADLINE_MS = 40_000
const STOP_GRACE_MS = 5000
const PORT_TRIES = 3

/** What every member of one set is started with. */
interface Plan {
  readonly program: Program
  readonly folder: DataFolder
  readonly args: readonly string[]
}

/** Starts a replica set with a writable primary, each member a mongod of its own. */
export async function launchMongo(program: Program, order: Order): Promise<RunningServer> {
  const folder = await openDataFolder(order.dataDir, 'mongo')
  const plan = { program, folder, args: order.args }
  try {
    const had = folder.last.ports.length
    if (had > 0 && had !== order.members) throw wrongSize(had, order.members)
    for (let attempt = 1; ; attempt++) {
      const ports = await choosePorts(order.members, attempt === 1 ? folder.last.ports : [])
      try {
        return await startSet(plan, ports)
      } catch (error) {
        if (!(error instanceof PortTaken) || attempt === PORT_TRIES) throw error
      }
    }
  } catch (error) {
    folder.close()
    throw error
  }
}

async function choosePorts(count: number, wanted: readonly number[]): Promise<number[]> {
  const ports: number[] = []
  // One after the other: two at once could be given the same free port.
  for (let i = 0; i < count; i++) ports.push(await choosePort(wanted[i]))
  return ports
}

async function startSet(plan: Plan, ports: readonly number[]): Promise<RunningServer> {
  const hosts = ports.map(port => `${LOOPBACK}:${port}`)
  const last = plan.folder.last.ports
  if (last.some((port, index) => port !== ports[index])) await moveSet(plan, ports, hosts)
  const running = await Promise.all(ports.map((port, index) => startMember(plan, { port, index })))
  const stopAll = async (): Promise<void> => {
    await Promise.all(running.map(each => each.stop()))
  }
  const exited = Promise.withResolvers<ServerEnd>()
  const watch = (program: RunningProgram): void => void program.lost.then(exited.resolve)
  running.forEach(watch)
  const save = (): void => plan.folder.save({ ports, processes: running.map(each => each.identity) })
  save()
  const hasFailed = (): boolean => running.some(each => each.hasExited())
  try {
    await formReplicaSet({ hosts, deadlineMs: START_DEADLINE_MS, hasFailed })
  } catch (error) {
    const failed = running.find(each => each.hasExited())
    await stopAll()
    throw failed === undefined ? error : diagnose(failed.logTail(), plan.folder.path, plan.program.file)
  }
  return {
    url: `mongodb://${hosts.join(',')}/?replicaSet=${REPLICA_SET}`,
    version: plan.program.version,
    place: plan.program.file,
    members: ports.map((port, index) => member(plan, running, { port, index, save, watch })),
    exited: exited.promise,
    kill: async (signal = 'SIGKILL') => {
      for (const each of running) each.kill(signal)
      if (signal === 'SIGKILL') await Promise.all(running.map(untilExited))
    },
    stop: async () => {
      await stopAll()
      plan.folder.close()
    },
  }
}

async function moveSet(plan: Plan, ports: readonly number[], hosts: readonly string[]): Promise<void> {
  const move = async (host: string, index: number): Promise<void> => {
    const alone = await startMember(plan, { port: ports[index] ?? 0, index, isAlone: true })
    await moveMember({ hosts, host, alone })
  }
  await Promise.all(hosts.map(move))
}

interface Seat {
  readonly port: number
  readonly index: number
  readonly save: () => void
  readonly watch: (program: RunningProgram) => void
}

/** The seat stays, the process in it changes when it is started again: so `running` is read at each call. */
function member(plan: Plan, running: RunningProgram[], seat: Seat): Member {
  const current = (): RunningProgram => {
    const program = running[seat.index]
    if (program === undefined) throw new Error(`The replica set has no member ${seat.index}`)
    return program
  }
  return {
    get pid() {
      return current().identity.pid
    },
    port: seat.port,
    kill: (signal = 'SIGKILL') => current().kill(signal),
    restart: async () => {
      await current().stop()
      const again = await startMember(plan, seat)
      running[seat.index] = again
      seat.watch(again)
      seat.save()
    },
  }
}

interface Start {
  readonly port: number
  readonly index: number
  /** Outside the set, for work on its stored configuration. */
  readonly isAlone?: boolean
}

async function startMember(plan: Plan, { port, index, isAlone = false }: Start): Promise<RunningProgram> {
  const { program, folder, args } = plan
  const data = join(folder.path, `data-${index}`)
  await mkdir(data, { recursive: true })
  const set = isAlone ? undefined : REPLICA_SET
  const defaults = mongodArguments({ dbpath: data, port, bind: LOOPBACK, set })
  return runProgram({
    file: program.file,
    args: withDefaults(defaults, args),
    cwd: folder.path,
    logFile: join(folder.path, `mongod-${index}.log`),
    graceMs: folder.temporary ? 0 : STOP_GRACE_MS,
  })
}
