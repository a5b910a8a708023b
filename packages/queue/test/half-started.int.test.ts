import { connect, createServer, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { defineJob } from '../src/index.ts'
import { useStage } from './stage.ts'

const job = defineJob({ name: 'work', input: z.object({}), output: z.number() })

const stage = useStage()

/** The way to Redis for so many connections; all later ones are accepted and hear nothing. */
async function doorFor(connectionsMax: number) {
  const { hostname, port } = new URL(stage.redis)
  const sockets: Socket[] = []
  const server = createServer(client => {
    client.on('error', () => {})
    if (sockets.push(client) > connectionsMax) return
    const backend = connect({ host: hostname, port: Number(port) }).on('error', () => {})
    client.on('close', () => backend.destroy())
    client.pipe(backend).pipe(client)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    url: `redis://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`,
    close: () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

test('a worker that is cut off in the middle of its start is told so', async () => {
  // Its own two: those on which its fetchers wait are never answered.
  const door = await doorFor(2)
  const worker = stage.worker(stage.db(), { redis: door.url })
  worker.handle(job, async () => 1)
  await expect(worker.start()).rejects.toMatchObject({ code: 'REDIS_UNREACHABLE', outcome: 'not-applied' })
  door.close()
}, 60_000)

test('a worker that cannot say that it leaves lets go of its connections all the same', async () => {
  const admin = new Redis(stage.redis)
  const user = stage.prefix
  await admin.call('ACL', 'SETUSER', user, 'on', '>secret', '~*', '&*', '+@all')
  const { host } = new URL(stage.redis)
  const worker = stage.worker(stage.db(), { redis: `redis://${user}:secret@${host}` })
  worker.handle(job, async () => 1)
  await worker.start()
  await admin.call('ACL', 'SETUSER', user, '-hdel')
  await worker.stop({ deadlineMs: 5000 })
  const clients = String(await admin.call('CLIENT', 'LIST'))
  expect(clients.split('\n').filter(line => line.includes(`user=${user}`))).toEqual([])
  expect(stage.reports.join('\n')).toMatch(/Leaving as a worker: .*NOPERM/)
  await admin.call('ACL', 'DELUSER', user)
  await admin.quit()
}, 30_000)
