import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from '../fault.ts'
import type { Round } from '../round.ts'

type Entry = readonly [id: string, fields: string[]]

/** Takes everything out of a stream, in one step; entries one by one or by a trim. */
const takeScript = `
local entries = redis.call('XRANGE', KEYS[1], '-', '+')
if ARGV[1] == 'trim' then redis.call('XTRIM', KEYS[1], 'MAXLEN', 0)
else for _, entry in ipairs(entries) do redis.call('XDEL', KEYS[1], entry[1]) end end
return entries
`

const streamsOf = (round: Round) => round.redis.keys(`${round.prefix}:~replies:*`)
const isReply = ([, fields]: Entry) => fields[0] === 'c'

/** Breaks the connections on which replies are read, so that what is in the streams has not been read. */
async function dropReaders({ redis, prefix }: Round): Promise<void> {
  const clients = (await redis.client('LIST')) as string
  const readers = clients.split('\n').filter(line => line.includes(` name=${prefix}:replies `))
  const ids = readers.flatMap(line => /^id=(\d+)/.exec(line)?.[1] ?? [])
  await Promise.all(ids.map(id => redis.client('KILL', 'ID', id)))
}

/** Keeps readers away for a while and takes every reply that comes meanwhile. */
async function seize(round: Round, taken: (stream: string, entry: Entry) => void): Promise<void> {
  const { redis, seed } = round
  const way = seed.pick(['trim', 'delete'])
  const streams = await streamsOf(round)
  const end = performance.now() + seed.integer(700, 1200)
  // The first time there may be entries that were read before.
  for (let isFirst = true; performance.now() < end; isFirst = false) {
    await dropReaders(round)
    for (const stream of streams) {
      const entries = ((await redis.eval(takeScript, 1, stream, way)) as Entry[]).filter(isReply)
      if (isFirst) continue
      round.struck(entries.length)
      for (const entry of entries) taken(stream, entry)
    }
    await sleep(2)
  }
}

const again = (round: Round, stream: string, [, fields]: Entry) =>
  round.redis.xadd(stream, 'NOMKSTREAM', '*', ...fields)

const lost: Fault = {
  name: 'reply-lost',
  about: 'Replies are deleted, or trimmed away, before they are read',
  strike: async round => {
    await round.untilBegun(5)
    await seize(round, () => {})
  },
}

const late: Fault = {
  name: 'reply-late',
  about: 'Replies come 0.1 to 2.5 s late, after their results were found another way, or before',
  strike: async round => {
    await round.untilBegun(5)
    const posted: Promise<unknown>[] = []
    await seize(round, (stream, entry) => {
      posted.push(round.lasts(100, 2500).then(() => again(round, stream, entry)))
    })
    await Promise.all(posted)
  },
}

const doubled: Fault = {
  name: 'reply-doubled',
  about: 'Every reply comes twice or three times',
  strike: async round => {
    const seen = new Set<string>()
    const reader = round.connect(round.crew.redis.url)
    const from = new Map((await streamsOf(round)).map(stream => [stream, '0-0']))
    const repeat = async (stream: string, entry: Entry) => {
      from.set(stream, entry[0])
      const call = entry[1][1] ?? ''
      if (!isReply(entry) || seen.has(call)) return
      seen.add(call)
      for (let times = round.seed.integer(1, 2); times > 0; times -= 1) await again(round, stream, entry)
      round.struck()
    }
    const end = performance.now() + round.load.withinMs + 1000
    while (performance.now() < end) {
      const found = await reader.xread('BLOCK', 200, 'STREAMS', ...from.keys(), ...from.values())
      for (const [stream, entries] of found ?? []) for (const entry of entries) await repeat(stream, entry)
    }
  },
}

const streamDeleted: Fault = {
  name: 'reply-stream-deleted',
  about: 'The streams of replies are deleted again and again, so that nothing can be sent to them',
  strike: async round => {
    await round.untilBegun(5)
    for (let times = 0; times < 3; times += 1) {
      for (const stream of await streamsOf(round)) round.struck(await round.redis.del(stream))
      await round.lasts(100, 600)
    }
  },
}

export const replyFaults: readonly Fault[] = [lost, late, doubled, streamDeleted]
