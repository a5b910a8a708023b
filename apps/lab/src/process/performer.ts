import type { Scenario } from '../scenarios/scenario.ts'
import { findScenario } from '../scenarios/scenarios.ts'
import { codeOf } from './error-code.ts'
import { LaneWatch } from './lane-watch.ts'
import type { FromActor, Opening, Step, ToActor } from './messages.ts'
import { type OpenStage, openStage } from './open-stage.ts'
import { PeakMeter } from './peak-meter.ts'
import { seen } from './seen.ts'
import type { Handlers } from './stage.ts'
import { Strangers } from './strangers.ts'

/** How often a process tells what it holds and waits for. */
const reportMs = 100

interface Open extends OpenStage {
  readonly opening: Opening
  readonly scenario: Scenario
  readonly meter: PeakMeter
  readonly strangers: Strangers
  /** In one process of the run. */
  readonly laneWatch: LaneWatch | undefined
  readonly reporting: NodeJS.Timeout
}

/** Does what the lab tells this process to do, and tells the lab what happens. */
export class Performer {
  readonly #tell: (message: FromActor) => void
  #open: Open | undefined

  constructor(tell: (message: FromActor) => void) {
    this.#tell = tell
  }

  take(message: ToActor): void {
    if (message.type === 'go') this.#go(message.roots)
    else if (message.type === 'gate') this.#opened.stage.gates.openHere(message.name)
    else if (message.type === 'report') this.#report(true)
    else void this.#step(message)
  }

  async #step(step: Step): Promise<void> {
    try {
      await this.#perform(step)
      this.#tell({ type: 'done', step: step.type })
    } catch (error) {
      this.#tell({ type: 'failed', step: step.type, message: describe(error) })
    }
  }

  async #perform(step: Step): Promise<void> {
    if (step.type === 'open') {
      this.#open = await this.#openStage(step.opening)
      return
    }
    const { scenario, stage, worker, meter, strangers, laneWatch, reporting, stop } = this.#opened
    if (step.type === 'prepare') await scenario.prepare?.(stage)
    if (step.type === 'work') {
      await worker?.start()
      if (worker) scenario.inWorkers?.(stage).catch((error: unknown) => this.#failBeside(error))
    }
    if (step.type === 'strangers') await strangers.begin()
    if (step.type === 'check') await scenario.check?.(stage)
    if (step.type === 'quiet') {
      await scenario.quiet?.(stage)
      this.#tell({ type: 'strangers-ended', end: await strangers.end(step.deadlineMs) })
    }
    if (step.type === 'stop') {
      clearInterval(reporting)
      meter.stop()
      laneWatch?.stop()
      await stop()
    }
  }

  async #openStage(opening: Opening): Promise<Open> {
    const scenario = findScenario(opening.settings.scenario)
    if (scenario === undefined) throw new RangeError(`No scenario ${opening.settings.scenario}`)
    const open = await openStage(opening, scenario, {
      gate: name => this.#tell({ type: 'gate', name }),
      refused: ms => this.#tell({ type: 'refused', ms }),
      beforeGate: beforeGate => this.#tell({ type: 'before-gate', beforeGate }),
      kill: (victim, gate) => this.#tell({ type: 'kill', victim, gate }),
      pause: (ms, gate) => this.#tell({ type: 'pause', ms, gate }),
    })
    const { stage, worker } = open
    const meter = new PeakMeter(() => stage.db.pools())
    const queues: string[] = []
    const handlers: Handlers = {
      handle: (job, handler) => {
        queues.push(job.queue)
        worker?.handle(job, input => meter.slot(() => handler(input)))
      },
    }
    scenario.work?.(handlers, stage)
    const strangers = new Strangers(stage, queues)
    if (stage.settings.strangers > 0) strangers.work(handlers)
    const laneWatch = opening.role === 'worker' ? undefined : new LaneWatch(stage.queues)
    const reporting = setInterval(() => this.#report(false), reportMs)
    return { ...open, opening, scenario, meter, strangers, laneWatch, reporting }
  }

  #go(roots: readonly number[]): void {
    const { scenario, stage } = this.#opened
    const beside = scenario.beside?.(stage) ?? Promise.resolve()
    beside.then(
      () => this.#tell({ type: 'beside-ended' }),
      (error: unknown) => this.#failBeside(error),
    )
    for (const root of roots) void this.#play(root)
  }

  #failBeside(error: unknown): void {
    this.#tell({ type: 'failed', step: 'beside', message: describe(error) })
  }

  async #play(root: number): Promise<void> {
    const { scenario, stage } = this.#opened
    let failure: { code: string; message: string } | undefined
    try {
      await scenario.root(stage, root)
    } catch (error) {
      failure = { code: codeOf(error), message: describe(error) }
    }
    stage.ended.add(root)
    this.#tell({ type: 'settled', end: { root, ...failure } })
  }

  #report(asked: boolean): void {
    const { opening, stage, worker, meter, laneWatch } = this.#opened
    const lanes = laneWatch?.lanes ?? []
    const report = { process: opening.process, ...seen(stage, worker), lanes, peak: meter.take() }
    this.#tell({ type: 'report', report, asked })
  }

  get #opened(): Open {
    if (this.#open === undefined) throw new Error('The stage is not open yet')
    return this.#open
  }
}

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error))
