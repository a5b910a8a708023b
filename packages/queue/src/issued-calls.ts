import { createHash } from 'node:crypto'
import { type CallStep, hasCode, type OutgoingCall, StrataError } from '@strata/db-context'
import { type Call, noteFailure } from './call.ts'
import type { JobDefinition } from './job-definition.ts'
import { queueError } from './registry.ts'

/** A call as the body of a transaction makes it. */
interface Issue {
  readonly job: JobDefinition
  readonly plan: OutgoingCall
  readonly data: unknown
  /** Of an id that the caller chose. */
  readonly claim: string | undefined
}

/** A call that a body has made, and the last job that was sent for it. */
interface Issued {
  readonly job: string
  readonly level: number
  readonly claim: string | undefined
  /** Of the input; undefined for one that cannot be sent. */
  readonly hash: string | undefined
  call: Call
  sends: number
  failure?: { readonly error: unknown }
}

/** What each transaction has issued, whichever its attempt; it goes when the transaction does. */
const issuedBy = new WeakMap<object, Map<string, Issued>>()

/**
 * Makes a call for the body of a transaction, which may be another run of it:
 *
 * | this call, in an earlier attempt | this call now                                    |
 * |----------------------------------|--------------------------------------------------|
 * | was not made                     | is sent                                          |
 * | has its result                   | gets it again                                    |
 * | still waits                      | waits with it                                    |
 * | failed, and did nothing          | is sent again, with a new id                     |
 * | failed after its work was done, or as nobody can say | fails alike                  |
 * | was another one                  | RETRY_DIVERGED, and the transaction is given up  |
 *
 * Kept in memory: attempts of one transaction are made in one process. Where the transaction was begun with an id, the job of another
 * process is found by its id instead (see `claimJob`), which then stays the same. The id is the transaction's and a number, and so can be
 * made again by whoever knows the transaction; the job's name is not part of it, for another job in its place has to be noticed.
 *
 * @throws RETRY_DIVERGED
 */
export async function issue(step: CallStep, what: Issue, begin: (id: string) => Call): Promise<unknown> {
  const issued = issuedBy.get(step.owner) ?? new Map<string, Issued>()
  issuedBy.set(step.owner, issued)
  const { job, plan, data, claim } = what
  const earlier = issued.get(step.id)
  const own = { job: job.name, level: plan.level, claim, hash: hashOf(data) }
  if (!earlier) {
    const first: Issued = { ...own, call: begin(step.id), sends: 1 }
    issued.set(step.id, first)
    return await follow(step, first)
  }
  if (!isSame(earlier, own)) throw diverged(step, earlier, own)
  if (!earlier.failure) {
    plan.sent({ isStep: true })
    return await join(earlier.call, plan)
  }
  if (!canRepeat(earlier.failure.error)) throw earlier.failure.error
  // Where another process may make the call too, it must find this one by its id; the job that failed is removed then.
  earlier.call = begin(step.isShared && claim === undefined ? step.id : `${step.id}-${earlier.sends}`)
  earlier.sends += 1
  return await follow(step, earlier)
}

async function follow(step: CallStep, issued: Issued): Promise<unknown> {
  delete issued.failure
  try {
    return await issued.call.promise
  } catch (error) {
    issued.failure = { error }
    if (isUnknown(error)) step.lose()
    throw error
  }
}

/** A call that another attempt has made; what it ends with concerns the transactions around this one too. */
async function join(call: Call, plan: OutgoingCall): Promise<unknown> {
  try {
    return await call.again()
  } catch (error) {
    noteFailure(plan, error)
    throw error
  }
}

/** A handler that threw has answered: another run is what its queue would give it too. */
const isUnknown = (error: unknown): boolean =>
  !(error instanceof StrataError) || (error.outcome === 'unknown' && !hasCode(error, 'JOB_FAILED'))

const canRepeat = (error: unknown): boolean =>
  !isUnknown(error) && !(error instanceof StrataError && error.outcome === 'applied')

type Identity = Pick<Issued, 'job' | 'level' | 'claim' | 'hash'>

const isSame = (one: Identity, two: Identity): boolean =>
  one.job === two.job && one.level === two.level && one.claim === two.claim && one.hash === two.hash

function hashOf(data: unknown): string | undefined {
  try {
    const text = JSON.stringify(data)
    return text === undefined ? 'none' : createHash('sha256').update(text).digest('base64url')
  } catch {
    return undefined
  }
}

function diverged(step: CallStep, earlier: Identity, now: Identity): Error {
  const differs = (['job', 'level', 'claim', 'hash'] as const).filter(field => earlier[field] !== now[field])
  const what = differs.includes('job') ? `a call of ${earlier.job}` : `it with another ${names[differs[0] ?? 'hash']}`
  const error = queueError(
    'RETRY_DIVERGED',
    `Call ${step.id} is of ${now.job}, but an earlier attempt of its transaction made ${what} there: let the body make the same ` +
      'calls in each attempt, from what does not change (db.current.transaction has an id and a now that do not)',
    { details: { call: step.id, earlier, now } },
  )
  step.diverge(error)
  return error
}

const names = { job: 'job', level: 'level', claim: 'chosen id', hash: 'input' } as const
