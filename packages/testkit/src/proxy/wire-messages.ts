import { Transform } from 'node:stream'
import { BSON, type Document } from 'mongodb'

const HEADER_BYTES = 16
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024
const OP_REPLY = 1
const OP_QUERY = 2004
const OP_MSG = 2013

/** The numbers in a message's header that say what it is and which request it answers. */
export interface WireHeader {
  readonly requestId: number
  readonly responseTo: number
}

/** Returns the message to send on instead; the same one to leave it as it is; a promise of one to keep it, and all after it, until then. */
export type MessageRewrite = (message: Buffer, header: WireHeader) => Buffer | Promise<Buffer>

/**
 * A stream of MongoDB wire messages: whatever way TCP has cut the bytes up, `rewrite` sees each message whole and in
 * order. Fails on a length that no MongoDB message has.
 */
export function wireMessages(rewrite: MessageRewrite): Transform {
  let parts: Buffer[] = []
  let length = 0
  const take = (bytes: number): Buffer => {
    const all = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
    parts = all.length > bytes ? [all.subarray(bytes)] : []
    length -= bytes
    return all.subarray(0, bytes)
  }
  const nextLength = (): number | undefined => {
    if (length < HEADER_BYTES) return undefined
    if ((parts[0]?.length ?? 0) < HEADER_BYTES) parts = [Buffer.concat(parts)]
    return parts[0]?.readInt32LE(0)
  }
  const pass = async (stream: Transform): Promise<void> => {
    for (let size = nextLength(); size !== undefined; size = nextLength()) {
      if (size < HEADER_BYTES || size > MESSAGE_BYTES_MAX) {
        throw new Error(`A wire message of ${size} bytes: this is not MongoDB's protocol`)
      }
      if (size > length) break
      const message = take(size)
      const sent = rewrite(message, { requestId: message.readInt32LE(4), responseTo: message.readInt32LE(8) })
      // Most are not kept, and go on in the same turn.
      stream.push(sent instanceof Promise ? await sent : sent)
    }
  }
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      parts.push(chunk)
      length += chunk.length
      pass(this).then(() => done(), done)
    },
  })
}

/** Where in a message its one command document lies; undefined for messages of another make. */
function documentRange(message: Buffer): { start: number; end: number } | undefined {
  const opCode = message.readInt32LE(12)
  let start: number
  // Flags (4 bytes), then the kind of the first section: 0 is a single document.
  if (opCode === OP_MSG) start = message[20] === 0 ? 21 : -1
  // Flags, the namespace as a C string, numbers to skip and to return (4 bytes each).
  else if (opCode === OP_QUERY) start = message.indexOf(0, 20) + 1 + 8
  // Flags (4), cursor id (8), starting from (4), number of documents (4).
  else start = opCode === OP_REPLY ? 36 : -1
  if (start < 0 || start + 4 > message.length) return undefined
  return { start, end: start + message.readInt32LE(start) }
}

/** The name of the command a message carries, read without decoding the rest: this runs for every message. */
export function commandName(message: Buffer): string | undefined {
  const range = documentRange(message)
  if (range === undefined) return undefined
  // The document's length (4 bytes) and the first element's type (1), then its name.
  const name = range.start + 5
  return message.toString('latin1', name, message.indexOf(0, name))
}

/** The command document that a message carries; undefined for messages of another make. */
export function readDocument(message: Buffer): Document | undefined {
  const range = documentRange(message)
  return range && BSON.deserialize(message.subarray(range.start, range.end))
}

/** The same message with its document changed; lengths are set anew, a checksum is dropped. */
export function withDocument(message: Buffer, change: (document: Document) => Document): Buffer {
  const range = documentRange(message)
  if (range === undefined) return message
  const document = BSON.serialize(
    change(BSON.deserialize(message.subarray(range.start, range.end), { promoteLongs: false })),
  )
  const isMsg = message.readInt32LE(12) === OP_MSG
  const hasChecksum = isMsg && (message.readUInt32LE(16) & 1) === 1
  const rest = message.subarray(range.end, hasChecksum ? -4 : undefined)
  const changed = Buffer.concat([message.subarray(0, range.start), document, rest])
  changed.writeInt32LE(changed.length, 0)
  if (hasChecksum) changed.writeUInt32LE(message.readUInt32LE(16) & ~1, 16)
  return changed
}
