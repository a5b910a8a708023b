/** True when the work ends in time, whatever it ends with; false when it is late: then it goes on, and nobody waits for it. @throws what it rejects with */
export async function endsWithin(limitMs: number, run: () => Promise<unknown>): Promise<boolean> {
  const late = Promise.withResolvers<false>()
  const timer = setTimeout(() => late.resolve(false), limitMs)
  try {
    return await Promise.race([run().then(() => true), late.promise])
  } finally {
    clearTimeout(timer)
  }
}
