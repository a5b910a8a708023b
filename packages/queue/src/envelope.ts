import { type ChainLink, readMarks, readWrites } from '@strata/db-context'
import { isRecord, parseJson } from './json.ts'
import type { Lane } from './lane.ts'
import { queueError } from './registry.ts'

/**
 * What travels beside a job's data, in the option `strata` of the BullMQ job: as JSON text, which Redis's scripts keep as it is. As
 * an object they take it apart and put it together again, a quarter of the time of adding a job.
 */
export type Envelope = CallEnvelope | PushEnvelope

export interface CallEnvelope {
  readonly v: 1
  readonly kind: 'call'
  readonly level: number
  /** The caller and those that await it, outermost first. */
  readonly chain: readonly ChainLink[]
  /** When the caller gives up, in milliseconds on Redis's clock. */
  readonly deadline: number
  /** When it was sent, on the same clock; 0 from a caller that does not say. */
  readonly sent: number
  /** Set where other calls may wait for the same job: what tells them of its end. */
  readonly claim?: string
  /** The process whose reply stream gets the result. */
  readonly replyTo: string
  readonly callId: string
}

export interface PushEnvelope {
  readonly v: 1
  readonly kind: 'push'
  readonly level: number
}

/** The job option that carries an envelope; none for what is read from a job without one. */
export function packEnvelope(envelope: Envelope): { strata?: string } {
  if (envelope.kind === 'push' && envelope.level === plainPush.level) return {}
  return { strata: JSON.stringify(envelope) }
}

/** What a job has as its envelope, unchecked: parsed once, and also taken as an object. */
export function findEnvelope(options: object): unknown {
  const found = 'strata' in options ? options.strata : undefined
  // A text that is not JSON stays one, and is refused as that.
  return typeof found === 'string' ? (parseJson(found) ?? found) : found
}

/** A job added by plain BullMQ. */
const plainPush: PushEnvelope = { v: 1, kind: 'push', level: 1 }

/** Far above any `levels.max`: what is longer was not written by a caller of ours. */
const chainLengthMax = 128
const textLengthMax = 512
const processId = /^[0-9a-f-]{36}$/

/**
 * Reads the envelope of a job and checks that it belongs into the lane it came from: a call of level n in lane n, so that no
 * stranger's job can hold a slot that ranks otherwise than the job.
 *
 * @throws ENVELOPE_INVALID
 */
export function readEnvelope(found: unknown, lane: Lane): Envelope {
  if (found === undefined && lane.kind !== 'call') return plainPush
  const envelope = decode(found)
  if (lane.kind === 'any') return envelope
  if (envelope.kind !== lane.kind) throw invalid(lane, `kind is ${envelope.kind}, expected ${lane.kind}`)
  if (envelope.kind === 'call' && envelope.level !== lane.level) {
    throw invalid(lane, `level is ${envelope.level}, expected ${lane.level}`)
  }
  return envelope

  function decode(value: unknown): Envelope {
    if (!isRecord(value)) throw invalid(lane, `is ${describe(value)}, expected an object`)
    if (value['v'] !== 1) throw invalid(lane, `version is ${describe(value['v'])}, expected 1: update this worker`)
    const level = value['level']
    if (!isWhole(level, 1)) throw invalid(lane, `level is ${describe(level)}, expected a whole number of at least 1`)
    if (value['kind'] === 'push') return { v: 1, kind: 'push', level }
    if (value['kind'] !== 'call') throw invalid(lane, `kind is ${describe(value['kind'])}, expected call or push`)
    return decodeCall(value, level)
  }

  function decodeCall(value: Record<string, unknown>, level: number): CallEnvelope {
    const { chain, deadline, callId, claim, sent = 0 } = value
    const replyTo = readReplyTo(value)
    if (!isWhole(deadline, 0)) throw invalid(lane, `deadline is ${describe(deadline)}, expected milliseconds`)
    if (!isWhole(sent, 0)) throw invalid(lane, `sent is ${describe(sent)}, expected milliseconds`)
    if (replyTo === undefined) throw invalid(lane, 'replyTo is not the id of a process')
    if (!isText(callId)) throw invalid(lane, `callId is ${describe(callId)}, expected a text`)
    return { v: 1, kind: 'call', level, chain: readChain(chain), deadline, sent, replyTo, callId, ...readClaim(claim) }
  }

  function readChain(chain: unknown): ChainLink[] {
    if (Array.isArray(chain) && chain.length <= chainLengthMax && chain.every(isLink)) return chain.map(copyLink)
    throw invalid(lane, `chain is not a list of at most ${chainLengthMax} links`)
  }

  function readClaim(claim: unknown): { claim?: string } {
    if (claim === undefined) return {}
    if (isText(claim)) return { claim }
    throw invalid(lane, `claim is ${describe(claim)}, expected a text`)
  }
}

/** True for an envelope of a newer version of Strata, which a worker of that version can read. */
export function isNewer(found: unknown): boolean {
  return isRecord(found) && isWhole(found['v'], 2)
}

/** Where to answer, as far as it can be read, for an envelope that is refused. */
export function findReplyAddress(found: unknown): { readonly replyTo: string; readonly callId: string } | undefined {
  if (!isRecord(found)) return undefined
  const replyTo = readReplyTo(found)
  const { callId } = found
  return replyTo !== undefined && isText(callId) ? { replyTo, callId } : undefined
}

/** Only the shape of our own ids: the id becomes a part of a Redis key. */
function readReplyTo({ replyTo }: Record<string, unknown>): string | undefined {
  return typeof replyTo === 'string' && processId.test(replyTo) ? replyTo : undefined
}

function isLink(value: unknown): value is ChainLink {
  if (!isRecord(value)) return false
  const { kind, name, id, level, writes, locks } = value
  if (writes !== undefined && !readWrites(writes)) return false
  if (locks !== undefined && !readMarks(locks)) return false
  return (kind === 'run' || kind === 'job') && isText(name) && isText(id) && isWhole(level, 0)
}

/** Only the known fields, whatever else a stranger put there. */
function copyLink({ kind, name, id, level, writes, locks }: ChainLink): ChainLink {
  const read = { writes: readWrites(writes), locks: readMarks(locks) }
  return {
    kind,
    name,
    id,
    level,
    ...(read.writes && { writes: read.writes }),
    ...(read.locks && { locks: read.locks }),
  }
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= textLengthMax

const isWhole = (value: unknown, min: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= min

const describe = (value: unknown): string =>
  typeof value === 'string'
    ? JSON.stringify(value.slice(0, 40))
    : typeof value === 'object'
      ? 'an object'
      : String(value)

function invalid(lane: Lane, fault: string) {
  return queueError('ENVELOPE_INVALID', `Envelope of a job in lane ${lane.name} cannot be used: ${fault}`, {
    details: { lane: lane.name, fault },
  })
}
