import type { DbContext } from '@strata/db-context'
import type { Admission } from './admission.ts'

/** The units of work of the requests. */
export interface Work {
  /** Runs `body` admitted, as a unit of work at level 0. @throws ADMISSION_FULL, ABORTED */
  run<T>(name: string, body: () => Promise<T>): Promise<T>
  /**
   * Gives up what is still under way, with ABORTED, and waits at most `settleMs` for it to clean up after itself: an
   * enrolment that may have been charged has to send its cancellation while there are queues to send it to.
   */
  giveUp(settleMs: number): Promise<void>
}

export function createWork({ db, admission }: { db: DbContext; admission: Admission }): Work {
  const ending = new AbortController()
  const bodies = new Set<Promise<unknown>>()
  const track = <T>(body: Promise<T>): Promise<T> => {
    bodies.add(body)
    const forget = () => bodies.delete(body)
    body.then(forget, forget)
    return body
  }
  return {
    run: (name, body) => admission.admit(() => db.run(() => track(body()), { name, signal: ending.signal })),
    giveUp: async settleMs => {
      ending.abort()
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, settleMs)
      await Promise.race([Promise.allSettled(bodies), late.promise])
      clearTimeout(timer)
    },
  }
}
