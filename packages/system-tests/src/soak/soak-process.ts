import type { Load } from './load.ts'
import type { Answer, Answers, Order } from './messages.ts'
import type { Opened } from './opened.ts'
import { processFigures } from './process-figures.ts'
import { openCaller } from './soak-caller.ts'
import { openWorker } from './soak-worker.ts'

const openers = { caller: openCaller, worker: openWorker }
let opened: Opened | undefined
let isStopped = false

type Perform = { [T in Order['type']]: (order: Extract<Order, { type: T }>) => Promise<Answers[T]> }

const perform: Perform = {
  async open({ role, place }) {
    opened = await openers[role](place)
    return {}
  },
  async load() {
    return { totals: await theLoad().run() }
  },
  async rest() {
    const load = theLoad()
    await load.rest()
    return { progress: load.progress }
  },
  async look() {
    const busy = participant().busy()
    return { figures: processFigures(), busy }
  },
  async resume() {
    theLoad().resume()
    return {}
  },
  async stop() {
    await participant().stop()
    isStopped = true
    return {}
  },
}

function participant(): Opened {
  if (opened === undefined) throw new Error('The process was not opened')
  return opened
}

function theLoad(): Load {
  const { load } = participant()
  if (load === undefined) throw new Error('A worker sends no calls')
  return load
}

async function answer(order: Order): Promise<Answer> {
  try {
    const run = perform[order.type] as (order: Order) => Promise<object>
    return { to: order.type, ok: true, ...(await run(order)) } as Answer
  } catch (error) {
    return { to: order.type, ok: false, message: error instanceof Error ? (error.stack ?? '') : String(error) }
  }
}

process.on('message', (order: Order) => {
  void answer(order).then(text => {
    process.send?.(text)
    // Nobody exits by force here: a handle that was left open keeps the process, and the soak sees it.
    if (isStopped) process.disconnect()
  })
})
process.on('disconnect', () => {
  if (!isStopped) process.exit(1)
})
