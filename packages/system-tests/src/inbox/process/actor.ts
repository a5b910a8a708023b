import type { Heard, Order } from './messages.ts'
import { Participant } from './participant.ts'

// The process of a round that is killed: it handles messages, or is asked with keys.

const tell = (message: Heard): void => {
  process.send?.(message)
}

let participant: Participant | undefined

async function follow(order: Order): Promise<void> {
  if (order.order === 'open') {
    participant = await Participant.open(order.place)
    tell({ heard: 'opened' })
  }
  if (order.order === 'work') {
    await participant?.work(undefined, () => tell({ heard: 'returned' }))
    tell({ heard: 'working' })
  }
  if (order.order === 'ask') await participant?.ask(order.deliveries, told => tell({ heard: 'told', told }), false)
}

process.on('message', (order: Order) => {
  follow(order).catch(error => tell({ heard: 'failed', reason: String(error?.stack ?? error) }))
})
process.on('disconnect', () => process.exit(1))
tell({ heard: 'ready' })
