import type { Chain, ChainLink } from './chain.ts'
import { readMarks } from './locks.ts'
import { dbContextError } from './registry.ts'
import { readWrites } from './writes.ts'

/** What a header carries to a service that is called over HTTP. */
export interface CarriedContext {
  /** Where the work there begins: one deeper than its caller. */
  readonly level: number
  /** The caller and those that await it, outermost first; the root and the last 15 of a longer one. */
  readonly chain: Chain
  /** What the caller has left, in milliseconds; absent without a deadline. */
  readonly deadlineMs?: number
}

const version = '1.'
const headerLengthMax = 8192
const linksMax = 16
const textLengthMax = 128

/** A day: nobody waits longer, and a timer cannot. */
const deadlineMsMax = 86_400_000

/** Writes a context as the value of one header: ASCII, at most 8,192 characters. */
export function writeHeader({ level, chain, deadlineMs }: CarriedContext): string {
  const [root, ...others] = chain
  const links = [root, ...others.slice(-(linksMax - 1))]
  const left = deadlineMs === undefined ? {} : { d: Math.floor(Math.min(deadlineMs, deadlineMsMax)) }
  const write = (writeLink: (link: ChainLink) => unknown[]) =>
    version + Buffer.from(JSON.stringify({ l: level, c: links.map(writeLink), ...left })).toString('base64url')
  const whole = write(link => [...bare(link), ...heldOf(link)])
  if (whole.length <= headerLengthMax) return whole
  // Without what they have written, the transactions around the call are found in their own process only.
  const withLocks = write(({ writes: _, ...link }) => [...bare(link), ...heldOf(link)])
  return withLocks.length <= headerLengthMax ? withLocks : write(bare)
}

/** The locks come last: an older reader passes over them, and takes nothing but a list for what was written. */
const heldOf = ({ writes, locks }: ChainLink) => (locks ? [writes ?? [], locks] : writes ? [writes] : [])

const bare = ({ kind, name, id, level }: ChainLink) => [
  kind,
  name.slice(0, textLengthMax),
  id.slice(0, textLengthMax),
  level,
]

/** Reads what a peer sent. Only known fields are taken over. @throws HEADER_INVALID */
export function readHeader(header: string): CarriedContext {
  if (header.length > headerLengthMax)
    throw invalid(`has ${header.length} characters, at most ${headerLengthMax} are read`)
  if (!header.startsWith(version)) throw invalid(`does not begin with ${version}`)
  const { l: level, c: links, d: deadlineMs } = parse(header.slice(version.length))
  if (!isWhole(level) || level < 1) throw invalid('has no level of at least 1')
  if (!Array.isArray(links) || links.length > linksMax) throw invalid(`has no chain of 1 to ${linksMax} links`)
  const [root, ...others] = links.map(readLink)
  if (!root) throw invalid(`has no chain of 1 to ${linksMax} links`)
  const chain: Chain = [root, ...others]
  if (deadlineMs === undefined) return { level, chain }
  if (!isWhole(deadlineMs) || deadlineMs > deadlineMsMax) throw invalid(`has no deadline of 0 to ${deadlineMsMax} ms`)
  return { level, chain, deadlineMs }
}

function parse(text: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'))
    if (typeof found === 'object' && found !== null) return found as Record<string, unknown>
  } catch (cause) {
    throw invalid('cannot be read', cause)
  }
  throw invalid('is no object')
}

function readLink(found: unknown): ChainLink {
  const [kind, name, id, level, held, marks] = Array.isArray(found) ? found : []
  const writes = held === undefined ? undefined : readWrites(held)
  const locks = marks === undefined ? undefined : readMarks(marks)
  const own = { ...(writes && (writes.length > 0 || !locks) && { writes }), ...(locks && { locks }) }
  const isRead = (held === undefined || writes !== undefined) && (marks === undefined || locks !== undefined)
  if ((kind === 'run' || kind === 'job') && isText(name) && isText(id) && isWhole(level) && isRead) {
    return { kind, name, id, level, ...own }
  }
  throw invalid('has a link that is none')
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.length <= textLengthMax

const isWhole = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const invalid = (fault: string, cause?: unknown) =>
  dbContextError('HEADER_INVALID', `Context header ${fault}: take it from trusted peers of the same version only`, {
    details: { fault },
    cause,
  })
