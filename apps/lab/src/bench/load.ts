/** An operation, and how many of it run between two looks at the clock. */
export interface Load {
  readonly callers: number
  /** 1 unless an operation is so short that looking at the clock would be a part of the measurement. */
  readonly batch?: number
  readonly operation: () => Promise<unknown>
}

/** Has callers repeat an operation, each one after the other. Resolves with the microseconds that one operation took. */
export async function microsecondsPerOperation(
  { callers, batch = 1, operation }: Load,
  forMs: number,
): Promise<number> {
  const begun = performance.now()
  const end = begun + forMs
  let operations = 0
  const caller = async (): Promise<void> => {
    do {
      for (let index = 0; index < batch; index += 1) await operation()
      operations += batch
    } while (performance.now() < end)
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return ((performance.now() - begun) * 1000) / operations
}
