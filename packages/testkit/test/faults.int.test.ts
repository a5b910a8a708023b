import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import { expect, inject, onTestFinished, test } from 'vitest'
import { type FaultProxy, startFaultProxy, until } from '../src/index.ts'
import { listen } from '../src/proxy/listen.ts'

/** A proxy before a server that sends back what it gets. */
async function echoProxy(): Promise<FaultProxy> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  const proxy = await startFaultProxy({ host: '127.0.0.1', port: await listen(server) })
  onTestFinished(async () => {
    await proxy.stop()
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return proxy
}

interface Peer {
  readonly socket: Socket
  received(): string
  readonly ended: Promise<void>
}

async function peer(proxy: FaultProxy): Promise<Peer> {
  const socket = connect(proxy.port, '127.0.0.1')
  let received = ''
  socket.on('data', data => {
    received += data
  })
  socket.on('error', () => {})
  // Not `once`: that one fails when the socket does, which is what half of these tests bring about.
  const ended = new Promise<void>(resolve => socket.once('close', () => resolve()))
  await once(socket, 'connect')
  await until(() => proxy.connections.length > 0, { deadlineMs: 1000, message: 'the proxy to see the connection' })
  return { socket, received: () => received, ended }
}

const gets = (one: Peer, text: string): Promise<boolean> =>
  until(() => one.received() === text, { deadlineMs: 2000, message: `"${text}" to come back` })

test('bytes pass both ways, the end of the stream included', async () => {
  const one = await peer(await echoProxy())
  one.socket.end('hello')
  await gets(one, 'hello')
  await one.ended
})

test('new connections go to another server once the proxy has another target, existing ones stay', async () => {
  const proxy = await echoProxy()
  const before = await peer(proxy)
  const other = createServer(socket => socket.end('other'))
  onTestFinished(() => void other.close())
  proxy.retarget({ host: '127.0.0.1', port: await listen(other) })
  const after = await peer(proxy)
  await gets(after, 'other')
  before.socket.end('hello')
  await gets(before, 'hello')
})

test('a cut connection breaks for both ends, and a new one is accepted', async () => {
  const proxy = await echoProxy()
  const one = await peer(proxy)
  proxy.cut()
  await one.ended
  await until(() => proxy.connections.length === 0, { deadlineMs: 1000, message: 'the cut connection to be gone' })
  const other = await peer(proxy)
  other.socket.write('again')
  await gets(other, 'again')
})

test('paused bytes come in order once they are let go, and other connections go on', async () => {
  const proxy = await echoProxy()
  const held = await peer(proxy)
  const free = await peer(proxy)
  await until(() => proxy.connections.length === 2, { deadlineMs: 1000, message: 'both connections' })
  proxy.connections[0]?.pause()
  held.socket.write('one')
  held.socket.write('two')
  free.socket.write('free')
  await gets(free, 'free')
  expect(held.received()).toBe('')
  proxy.connections[0]?.resume()
  await gets(held, 'onetwo')
})

test('a delay is added to each direction and keeps the order', async () => {
  const proxy = await echoProxy()
  const one = await peer(proxy)
  proxy.delay(40)
  const began = performance.now()
  for (const part of ['a', 'b', 'c']) one.socket.write(part)
  await gets(one, 'abc')
  expect(performance.now() - began).toBeGreaterThanOrEqual(79)
  proxy.delay(0)
  one.socket.write('d')
  await gets(one, 'abcd')
})

test('a blackhole swallows, and a connection that has lost bytes is cut when it ends', async () => {
  const proxy = await echoProxy()
  const one = await peer(proxy)
  proxy.blackhole()
  one.socket.write('lost')
  const other = await peer(proxy)
  other.socket.write('lost as well')
  const hasSwallowed = (): boolean =>
    proxy.connections.length === 2 && proxy.connections.every(connection => connection.lostBytes() > 0)
  await until(hasSwallowed, { deadlineMs: 1000, message: 'the bytes of both to be swallowed' })
  expect([one.received(), other.received()]).toEqual(['', ''])
  proxy.resume()
  await Promise.all([one.ended, other.ended])
})

test('refused connections are reset, later ones pass again', async () => {
  const proxy = await echoProxy()
  proxy.refuse(true)
  const socket = connect(proxy.port, '127.0.0.1')
  const [refused] = await once(socket, 'error')
  expect(refused).toMatchObject({ code: 'ECONNRESET' })
  proxy.refuse(false)
  const one = await peer(proxy)
  one.socket.write('back')
  await gets(one, 'back')
})

test('Redis and MongoDB are reached by the URL of the proxy, and only by it', async () => {
  await using toRedis = await startFaultProxy(inject('redisUrl'))
  await using toMongo = await startFaultProxy(inject('mongoUrl'))
  const redis = new Redis(toRedis.url)
  redis.on('error', () => {})
  onTestFinished(() => redis.disconnect())
  const mongo = new MongoClient(toMongo.url)
  onTestFinished(() => mongo.close())
  expect(await redis.ping()).toBe('PONG')
  await mongo.withSession(session =>
    session.withTransaction(() => mongo.db('testkit_faults').collection('things').insertOne({}, { session })),
  )
  expect([toRedis.connections.length > 0, toMongo.connections.length > 0]).toEqual([true, true])
  const ended = new Promise<void>(resolve => redis.once('close', resolve))
  toRedis.cut()
  await ended
})
