import type { Heard, Order } from './messages.ts'
import { Participant } from './participant.ts'

// One process of a round: it commits, or it relays, until it is killed.

const tell = (message: Heard): void => {
  process.send?.(message)
}

let participant: Participant | undefined

async function follow(order: Order): Promise<void> {
  if (order.order === 'open') {
    participant = await Participant.open(order.place, () => tell({ heard: 'publishing' }))
    tell({ heard: 'opened' })
  }
  if (order.order === 'relay') participant?.relay()
  if (order.order === 'commit') {
    await participant?.commit(order.plans, order.callers, told => tell({ heard: 'ended', told }))
    await participant?.outbox.stop()
    tell({ heard: 'committed' })
  }
}

process.on('message', (order: Order) => {
  follow(order).catch(error => tell({ heard: 'failed', reason: String(error?.stack ?? error) }))
})
process.on('disconnect', () => process.exit(1))
tell({ heard: 'ready' })
