import { Permits } from '@strata/db-context'
import { apiError } from './errors.ts'

/** Lane 0: how many requests may be under way at once. */
export interface Admission {
  /**
   * Runs `work` in one of the places. Never waits for one: a queue here would only hide from the sender that it sends
   * more than is served. @throws ADMISSION_FULL
   */
  admit<T>(work: () => Promise<T>): Promise<T>
}

export function createAdmission(max: number): Admission {
  const permits = new Permits(max)
  return {
    async admit(work) {
      const permit = permits.tryAcquire()
      if (!permit) {
        throw apiError('ADMISSION_FULL', `${max} requests are under way, as many as ADMISSION_MAX allows: try again`, {
          details: { admissionMax: max },
        })
      }
      try {
        return await work()
      } finally {
        permit.release()
      }
    },
  }
}
