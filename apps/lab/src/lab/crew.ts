import { type Seed, seeded } from '@strata/testkit'
import { LabError } from '../lab-error.ts'
import { addCounts, type BeforeGate, type Peak, type RootEnd, type StrangersEnd, type Symptoms } from '../outcome.ts'
import { ActorProcess, type Told } from '../process/actor-process.ts'
import type { FromActor, Opening, Role } from '../process/messages.ts'
import type { ProcessReport } from '../process/report.ts'
import type { Settings } from '../settings.ts'
import type { Ground } from './ground.ts'

type Kill = Extract<FromActor, { type: 'kill' }>

/** For opening connections, preparing documents and starting workers, on a busy machine. */
const stepMs = 20_000
/** For a last look at a process that may hang. */
const lookMs = 500
/** For an orderly stop; what has not stopped then is killed. */
const stopMs = 2000

/** The processes of one run, and what they have told so far. */
export class Crew implements AsyncDisposable {
  readonly #actors: ActorProcess[] = []
  readonly #roots: number
  readonly #finished = Promise.withResolvers<void>()
  readonly ends = new Map<number, RootEnd>()
  readonly peak: { connections: number; slots: number } = { connections: 0, slots: 0 }
  refusalMsMax: number | undefined
  beforeGate: BeforeGate | undefined
  strangers: StrangersEnd | undefined
  readonly #peaks = new Map<string, Peak>()
  #hasBesideEnded = false
  #ground: Pick<Ground, 'killPrimary'> | undefined
  #open = (_: ActorProcess): Promise<void> => Promise.reject(new LabError('RUN_FAILED', 'Nothing is open yet'))
  #draw: Seed | undefined

  private constructor(roots: number) {
    this.#roots = roots
    this.#finished.promise.catch(() => {})
  }

  /** Starts the processes, which load their code while the caller goes on. */
  static async gather({ roots, processes }: Settings): Promise<Crew> {
    const crew = new Crew(roots)
    await Promise.all(roles(processes).map(role => crew.#start(role)))
    return crew
  }

  /** Has every process open its part and prepare it, up to the moment before the roots. @throws RUN_FAILED */
  async open(settings: Settings, ground: Ground): Promise<void> {
    this.#ground = ground
    const { run, mongoUrl, redisUrl } = ground
    const shared = { settings, run, mongoUrl, redisUrl }
    this.#draw = seeded(settings.seed)
    this.#open = actor => {
      const { name: process, role } = actor
      return actor.perform({ type: 'open', opening: { process, role, ...shared } }, stepMs)
    }
    await Promise.all(this.#actors.map(this.#open))
    await this.#api.perform({ type: 'prepare' }, stepMs)
    await Promise.all(this.#actors.map(actor => actor.perform({ type: 'work' }, stepMs)))
    await this.#api.perform({ type: 'strangers' }, stepMs)
  }

  /** Resolves when every root has ended, and what went on beside them. @throws RUN_FAILED when a process is lost or cannot go on. */
  get finished(): Promise<void> {
    return this.#finished.promise
  }

  get reports(): ProcessReport[] {
    return this.#living.flatMap(({ report }) => report ?? [])
  }

  /** What the scenario has counted in all processes, as they told it last. */
  get counts(): Symptoms {
    return addCounts(this.#actors.flatMap(({ report }) => (report === undefined ? [] : [report.counts])))
  }

  /** Has the API process compare what was told with the data. @throws RUN_FAILED */
  async check(): Promise<void> {
    await this.#api.perform({ type: 'check' }, stepMs)
  }

  /** Ends what goes on beside the roots. @throws RUN_FAILED */
  async quiet(deadlineMs: number): Promise<void> {
    await this.#api.perform({ type: 'quiet', deadlineMs }, deadlineMs + lookMs)
  }

  /** Forgets what was in use while connections opened: each report begins the next one's count. */
  async ready(): Promise<void> {
    await this.refresh()
    Object.assign(this.peak, { connections: 0, slots: 0 })
    this.#peaks.clear()
  }

  /** Begins all roots at once, in this order. */
  go(roots: readonly number[]): void {
    this.#api.tell({ type: 'go', roots })
  }

  /** Has every process tell how it stands. */
  async refresh(): Promise<void> {
    await Promise.all(this.#living.map(actor => actor.refresh(lookMs)))
    for (const { report } of this.#living) if (report !== undefined) this.#measure(report)
  }

  /** Stops all processes as they stop in service: workers first, so that whatever they still run has its caller. */
  async stop(): Promise<void> {
    const stop = (actor: ActorProcess) => actor.perform({ type: 'stop' }, stopMs).catch(() => {})
    await Promise.all(this.#living.filter(({ role }) => role === 'worker').map(stop))
    await Promise.all(this.#living.filter(({ role }) => role !== 'worker').map(stop))
  }

  /** Ends every process at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#actors.map(actor => actor[Symbol.asyncDispose]()))
  }

  get #living(): ActorProcess[] {
    return this.#actors.filter(({ isKilled }) => !isKilled)
  }

  get #api(): ActorProcess {
    const api = this.#actors.find(({ role }) => role !== 'worker')
    if (api === undefined) throw new LabError('RUN_FAILED', 'There is no API process')
    return api
  }

  async #start(opening: Pick<Opening, 'process' | 'role'>): Promise<ActorProcess> {
    const actor = await ActorProcess.start(opening, {
      told: message => this.#hear(actor, message),
      lost: error => this.#finished.reject(error),
    })
    this.#actors.push(actor)
    return actor
  }

  #hear(from: ActorProcess, message: Told): void {
    if (message.type === 'settled') this.ends.set(message.end.root, message.end)
    else if (message.type === 'beside-ended') this.#hasBesideEnded = true
    else if (message.type === 'report') this.#measure(message.report)
    else if (message.type === 'refused') this.refusalMsMax = Math.max(this.refusalMsMax ?? 0, Math.ceil(message.ms))
    else if (message.type === 'before-gate') this.beforeGate = message.beforeGate
    else if (message.type === 'strangers-ended') this.strangers = message.end
    else if (message.type === 'kill') this.#kill(from, message).catch(error => this.#finished.reject(error))
    else if (message.type === 'pause') void from.pause(message.ms).then(() => this.#openGate(message.gate))
    else if (message.type === 'gate') this.#openGate(message.name, from)
    else this.#finished.reject(new LabError('RUN_FAILED', `Process ${from.name}: ${message.message}`))
    if (this.#hasBesideEnded && this.ends.size === this.#roots) this.#finished.resolve()
  }

  #openGate(gate: string, from?: ActorProcess): void {
    for (const actor of this.#living) if (actor !== from) actor.tell({ type: 'gate', name: gate })
  }

  async #kill(from: ActorProcess, { victim, gate }: Kill): Promise<void> {
    if (victim === 'worker') await this.#replaceWorker()
    else await (victim === 'self' ? from.kill() : this.#ground?.killPrimary())
    this.#openGate(gate)
  }

  async #replaceWorker(): Promise<void> {
    const workers = this.#living.filter(({ role }) => role === 'worker')
    const victim = workers[this.#draw?.integer(0, workers.length - 1) ?? 0]
    if (victim === undefined) throw new LabError('RUN_FAILED', 'There is no worker to be killed')
    await victim.kill()
    const actor = await this.#start({ process: victim.name, role: victim.role })
    await this.#open(actor)
    await actor.perform({ type: 'work' }, stepMs)
  }

  /** Adds up the processes' last windows: they are short, so what is in them was in use at about the same time. */
  #measure({ process, peak }: ProcessReport): void {
    this.#peaks.set(process, peak)
    const sum = (of: keyof Peak) => [...this.#peaks.values()].reduce((total, each) => total + each[of], 0)
    this.peak.connections = Math.max(this.peak.connections, sum('connections'))
    this.peak.slots = Math.max(this.peak.slots, sum('slots'))
  }
}

/** One API process and workers, or one process that is both. */
function roles(processes: number): { process: string; role: Role }[] {
  if (processes === 1) return [{ process: 'api+worker', role: 'both' }]
  const workers = Array.from({ length: processes - 1 }, (_, index) => `worker-${index + 1}`)
  return [{ process: 'api', role: 'api' }, ...workers.map(process => ({ process, role: 'worker' as const }))]
}
