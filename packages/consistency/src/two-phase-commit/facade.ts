import { randomUUID } from 'node:crypto'
import { type DbContext, dbContextError } from '@strata/db-context'
import { consistencyError } from '../errors.ts'
import type { Report } from '../report.ts'
import type { AnyTwoPhase } from './definition.ts'
import { checkId, checkNewId, refuseTransaction } from './entry.ts'
import { inDoubt, listRecords } from './listing.ts'
import { type Opening, open, submit } from './opening.ts'
import type { Participant } from './participant.ts'
import { orderOf } from './parts.ts'
import { readDocuments } from './reading.ts'
import { recover } from './recovery.ts'
import { resolve } from './resolving.ts'
import { Runs } from './runs.ts'
import { Schedule } from './schedule.ts'
import { type Engine, waitOf } from './settings.ts'
import { tell } from './transaction.ts'
import { readRecord } from './transition.ts'
import type { TwoPhaseCommit } from './two-phase-commit.ts'
import { cancel, reverseOf } from './verbs.ts'

export interface FacadeOptions {
  readonly engine: Engine
  readonly db: Pick<DbContext, 'current'>
  readonly definitions: readonly AnyTwoPhase[]
  readonly recoverEveryMs: number
  readonly report: Report
}

const deadlineMsDefault = 10_000
const stopMsDefault = 5000

/** The verbs over an engine, whatever its store. */
export function facadeOf(options: FacadeOptions): Omit<TwoPhaseCommit, 'ensureIndexes'> {
  const { engine, db, definitions, recoverEveryMs: everyMs, report } = options
  const runs = new Runs(engine)
  const recoverOnce = (of = {}) => recover(engine, runs, of)
  const schedule = new Schedule({ everyMs, recover: recoverOnce, inDoubt: () => inDoubt(engine), report })

  const openingOf = async (definition: AnyTwoPhase, given: { id?: string; input: unknown }): Promise<Opening> => {
    refuseUnknown(definitions, definition)
    const id = checkNewId(given.id ?? randomUUID())
    return { id, order: await orderOf(definition, given.input) }
  }
  const begin = async (opening: Opening, deadlineMs: number) => {
    refuseStopped(runs)
    const { record, isMine } = await open(engine, opening)
    return tell(await runs.follow(record, isMine ? runs.drive(record) : undefined, deadlineMs))
  }

  const facade: Omit<TwoPhaseCommit, 'ensureIndexes'> = {
    async run(definition, { deadlineMs = deadlineMsDefault, ...given }) {
      refuseTransaction(db, 'run')
      waitOf(deadlineMs)
      return await begin(await openingOf(definition as AnyTwoPhase, given), deadlineMs)
    },
    async submit(definition, given) {
      refuseTransaction(db, 'submit')
      return tell(await submit(engine, await openingOf(definition as AnyTwoPhase, given)))
    },
    async get(id) {
      const record = await readRecord(engine, checkId(id))
      return record ? tell(record) : undefined
    },
    async cancel(id, { deadlineMs = deadlineMsDefault } = {}) {
      refuseTransaction(db, 'cancel')
      refuseStopped(runs)
      return tell(await cancel(engine, runs, { id: checkId(id), deadlineMs: waitOf(deadlineMs) }))
    },
    async reverse(id, { deadlineMs = deadlineMsDefault } = {}) {
      refuseTransaction(db, 'reverse')
      waitOf(deadlineMs)
      return await begin(await reverseOf(engine, checkId(id)), deadlineMs)
    },
    recover: recoverOnce,
    list: async (of = {}) => (await listRecords(engine, of)).map(tell),
    inDoubt: () => inDoubt(engine),
    resolve: async (id, of) => tell(await resolve(engine, { ...of, id: checkId(id) })),
    read: (participant: Participant, ids) => readDocuments(engine, participant, ids),
    start: () => schedule.start(),
    async stop({ deadlineMs = stopMsDefault } = {}) {
      await runs.stop(waitOf(deadlineMs), schedule.stop())
    },
    [Symbol.asyncDispose]: () => facade.stop(),
  }
  return facade
}

/** @throws TWO_PHASE_DEFINITION_UNKNOWN */
function refuseUnknown(definitions: readonly AnyTwoPhase[], definition: AnyTwoPhase): void {
  if (definitions.includes(definition)) return
  throw consistencyError(
    'TWO_PHASE_DEFINITION_UNKNOWN',
    `Definition ${definition.name} is none of this engine: list it in createTwoPhaseCommit, or nobody would recover it`,
    { outcome: 'not-applied', details: { definition: definition.name } },
  )
}

/** @throws STOPPED */
function refuseStopped(runs: Runs): void {
  if (runs.isStopped)
    throw dbContextError('STOPPED', 'The engine of two-phase commits is stopped: another process may run it')
}
