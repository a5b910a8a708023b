import type { LaneState, Queues } from '@strata/queue'

/** Often enough for an eye; each look is a round trip to Redis. */
const lookMs = 500

/** Keeps the lanes of all processes as they stood lately. */
export class LaneWatch {
  #lanes: readonly LaneState[] = []
  readonly #timer: NodeJS.Timeout

  constructor(queues: Queues) {
    this.#timer = setInterval(() => {
      queues.lanes().then(
        lanes => {
          this.#lanes = lanes
        },
        // Only a picture for people: the look before is good enough, and the next one comes soon.
        () => {},
      )
    }, lookMs)
  }

  get lanes(): readonly LaneState[] {
    return this.#lanes
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
