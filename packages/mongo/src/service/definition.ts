import { setTimeout as sleep } from 'node:timers/promises'
import { type Deadline, deadlineIn, hasCode, remainingMs, type StrataError } from '@strata/db-context'
import { codeOf, isServerError } from '../classify.ts'
import type { Door } from '../door.ts'
import { mongoError } from '../errors.ts'
import { type Call, invoke, type MongoTarget, send, whatOf } from '../statement/call.ts'
import { timeLimit } from '../statement/limit.ts'
import { isTimeLimit, isUnconfirmed } from '../translate.ts'

/** The first try, in milliseconds; each further one takes twice as long, because a build that nothing blocks takes its time. */
const tryMsFirst = 200

/** No ticket, a lock that is taken, a conflict; another definition under way, or one that is being given up. */
const blockedCodes = new Set([24, 46, 112, 117, 276, 339])

/** What a definition finds when the try before it has got through after all: NamespaceNotFound, IndexNotFound, NamespaceExists. */
const doneCodes = new Set([26, 27, 48])

export interface Definition<T> {
  readonly what: string
  /** The operation's own `maxTimeMS`: then it is sent once, with that. */
  readonly userMs: number | undefined
  readonly run: (target: MongoTarget, limit: ReturnType<typeof timeLimit>) => Promise<T>
  /** What it gives back when it turns out to be done. */
  readonly done: T
}

/**
 * Changes a collection or its indexes in short tries. Each needs the collection for itself and so queues behind every
 * open transaction that has used it; whoever comes later queues behind the try, the very write that such a transaction
 * may wait for included. Between two tries they all get through.
 *
 * @throws DEFINITION_REFUSED, DEFINITION_BLOCKED after `definitionTimeoutMs`
 */
export async function define<T>(door: Door, definition: Definition<T>): Promise<T> {
  const { scope, settings } = door
  const { what, userMs, run } = definition
  if (!scope.isolated || userMs) {
    return await scope.service(what, target =>
      run(target, timeLimit(settings.operationTimeoutMs, userMs, target.deadline)),
    )
  }
  refuseAwaited(door, what)
  const deadline = deadlineIn(settings.definitionTimeoutMs)
  const longestMs = Math.max(tryMsFirst, scope.lockWaitMs / 2)
  for (let ms = tryMsFirst, tries = 1; ; ms = Math.min(ms * 2, longestMs), tries += 1) {
    const limit = { ms: Math.ceil(Math.min(ms, Math.max(1, remainingMs(deadline)))), of: 'user' } as const
    try {
      return await scope.service(what, target => run(target, limit))
    } catch (cause) {
      if (tries > 1 && isServerError(cause) && doneCodes.has(codeOf(cause) ?? 0)) return definition.done
      if (!isBlocked(cause) && !isUnseen(cause)) throw cause
      await pause(what, { ms, deadline, tries, timeoutMs: settings.definitionTimeoutMs, cause })
    }
  }
}

interface Pause extends Blocked {
  readonly ms: number
  readonly deadline: Deadline
}

/** As long as a try, so that others have the collection for half of the time. @throws DEFINITION_BLOCKED, or what an unconfirmed one ended with */
async function pause(what: string, { ms, deadline, ...of }: Pause): Promise<void> {
  if (remainingMs(deadline) <= ms) throw isUnseen(of.cause) ? of.cause : blocked(what, of)
  await sleep(ms * (0.5 + Math.random()))
}

/** Runs a definition that a collection was asked for. */
export async function defineCalled(call: Call): Promise<unknown> {
  const what = whatOf(call)
  const { maxTimeMS: userMs } = call.options ?? {}
  const one = (each: Call, done: unknown) =>
    define(call.door, {
      what,
      userMs,
      run: (target, limit) => send(each, { target, limit, run: () => invoke(each, target, limit), effect: 'one' }),
      done,
    })
  if (call.method !== 'createIndexes') return await one(call, call.method === 'drop' ? true : { ok: 1 })
  // The driver sends no time limit with several; with one it does.
  const names: unknown[] = []
  for (const { key, ...options } of call.args[0] as Iterable<Record<string, unknown>>) {
    const args = [key, { ...call.options, ...options }]
    const each = { ...call, method: 'createIndex', args, optionsAt: 1, options: { ...call.options, ...options } }
    names.push(await one(each, undefined))
  }
  return names
}

const isBlocked = (error: unknown) =>
  isTimeLimit(error) || (isServerError(error) && blockedCodes.has(codeOf(error) ?? 0))

/** Done, but a busy server did not tell within the try that a majority has it: the next try asks again, and finds it done. */
const isUnseen = (error: unknown) => isUnconfirmed(error) || hasCode(error, 'WRITE_UNCONFIRMED')

/** @throws DEFINITION_REFUSED */
function refuseAwaited({ scope }: Door, what: string): void {
  const waiter = scope.awaitedBy()
  if (waiter === undefined) return
  throw mongoError(
    'DEFINITION_REFUSED',
    `${what} would wait for every transaction that has used the collection, while ${waiter} waits for it: define collections ` +
      'and indexes at the start, or in work that nobody awaits',
    { details: { what, awaitedBy: waiter } },
  )
}

interface Blocked {
  readonly tries: number
  readonly timeoutMs: number
  readonly cause: unknown
}

function blocked(what: string, { tries, timeoutMs, cause }: Blocked): StrataError {
  return mongoError(
    'DEFINITION_BLOCKED',
    `${what} did not get through within definitionTimeoutMs (${timeoutMs} ms, ${tries} tries): open transactions use the ` +
      'collection, or it needs longer than a try. With a maxTimeMS of its own it is sent once and keeps others waiting',
    { details: { what, definitionTimeoutMs: timeoutMs, tries }, cause },
  )
}
