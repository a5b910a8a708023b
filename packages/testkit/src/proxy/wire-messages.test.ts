import { once } from 'node:events'
import { BSON, type Document } from 'mongodb'
import { expect, test } from 'vitest'
import { seedFrom } from '../seed.ts'
import { commandName, wireMessages, withDocument } from './wire-messages.ts'

function message(document: Document, { requestId = 1, flags = 0, tail = Buffer.alloc(0) } = {}): Buffer {
  const body = BSON.serialize(document)
  const head = Buffer.alloc(21)
  head.writeInt32LE(21 + body.length + tail.length, 0)
  head.writeInt32LE(requestId, 4)
  head.writeInt32LE(2013, 12)
  head.writeUInt32LE(flags, 16)
  return Buffer.concat([head, body, tail])
}

function query(document: Document): Buffer {
  const name = Buffer.from('admin.$cmd\0', 'latin1')
  const body = BSON.serialize(document)
  const head = Buffer.alloc(20)
  head.writeInt32LE(20 + name.length + 8 + body.length, 0)
  head.writeInt32LE(2004, 12)
  return Buffer.concat([head, name, Buffer.alloc(8), body])
}

function decode(buffer: Buffer): Document {
  return BSON.deserialize(buffer.subarray(21))
}

test('messages arrive whole and in order however TCP cuts them up', async () => {
  const seed = seedFrom()
  for (let round = 0; round < 50; round++) {
    const sent = Array.from({ length: seed.integer(1, 8) }, (_, i) =>
      message({ ping: i, fill: 'x'.repeat(seed.integer(0, 200)) }, { requestId: i }),
    )
    const seen: number[] = []
    const stream = wireMessages((each, { requestId }) => {
      seen.push(requestId)
      return each
    })
    const received: Buffer[] = []
    stream.on('data', (chunk: Buffer) => received.push(chunk))
    const bytes = Buffer.concat(sent)
    for (let at = 0; at < bytes.length; ) {
      const size = seed.integer(1, 300)
      stream.write(bytes.subarray(at, at + size))
      at += size
    }
    stream.end()
    await once(stream, 'end')
    expect(seen).toEqual(sent.map((_, i) => i))
    expect(Buffer.concat(received).equals(bytes)).toBe(true)
  }
})

test('bytes of another protocol end the stream', async () => {
  const stream = wireMessages(each => each)
  const failed = once(stream, 'error')
  stream.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'))
  const [error] = await failed
  expect(error).toMatchObject({ message: expect.stringContaining('not MongoDB') })
})

test('the command is named for both makes of message', () => {
  expect(commandName(message({ hello: 1, loadBalanced: true }))).toBe('hello')
  expect(commandName(query({ isMaster: 1 }))).toBe('isMaster')
})

test('a changed document gets new lengths, and a checksum goes', () => {
  const original = message({ hello: 1, loadBalanced: true }, { flags: 1, tail: Buffer.from([1, 2, 3, 4]) })
  const changed = withDocument(original, ({ loadBalanced: _, ...rest }) => ({ ...rest, more: 'text' }))
  expect(changed.readInt32LE(0)).toBe(changed.length)
  expect(changed.readUInt32LE(16)).toBe(0)
  expect(decode(changed)).toEqual({ hello: 1, more: 'text' })
})
