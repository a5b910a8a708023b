import type { Socket } from 'node:net'

/** One direction of a connection, and what may be done to it. */
export interface Flow {
  /** Holds every byte from now on; the sender is slowed down by TCP itself. */
  pause(): void
  resume(): void
  /** Delays every byte from now on by so many milliseconds; order is kept. */
  delay(ms: number): void
  /** Swallows every byte from now on. */
  blackhole(): void
  /** How many bytes have been swallowed; with more than none a stream cannot go on. */
  lostBytes(): number
}

interface Delivery {
  readonly due: number
  /** Undefined stands for the end of the stream, which must not overtake delayed bytes. */
  readonly chunk: Buffer | undefined
}

/** Carries the bytes of `from` to `to`, end of stream included. */
export function flow(from: Socket, to: Socket): Flow {
  const waiting: Delivery[] = []
  let delayMs = 0
  let isPaused = false
  let isBlackhole = false
  let lostBytes = 0
  let timer: NodeJS.Timeout | undefined

  const deliver = (chunk: Buffer | undefined): void => {
    if (chunk === undefined) to.end()
    else if (!to.destroyed && !to.write(chunk)) {
      from.pause()
      to.once('drain', () => {
        if (!isPaused) from.resume()
      })
    }
  }
  const deliverDue = (): void => {
    timer = undefined
    if (isPaused) return
    const now = performance.now()
    for (let first = waiting[0]; first !== undefined && first.due <= now; first = waiting[0]) {
      waiting.shift()
      deliver(first.chunk)
    }
    const [next] = waiting
    if (next !== undefined) timer = setTimeout(deliverDue, next.due - now)
  }
  const accept = (chunk: Buffer | undefined): void => {
    if (isBlackhole) {
      lostBytes += chunk?.length ?? 0
      return
    }
    if (delayMs === 0 && waiting.length === 0 && !isPaused) {
      deliver(chunk)
      return
    }
    waiting.push({ due: performance.now() + delayMs, chunk })
    if (timer === undefined) deliverDue()
  }
  from.on('data', accept)
  from.on('end', () => accept(undefined))
  from.on('close', () => clearTimeout(timer))
  return {
    pause: () => {
      isPaused = true
      from.pause()
    },
    resume: () => {
      isPaused = false
      isBlackhole = false
      from.resume()
      if (timer === undefined) deliverDue()
    },
    delay: ms => {
      delayMs = ms
    },
    blackhole: () => {
      isBlackhole = true
    },
    lostBytes: () => lostBytes,
  }
}
