/** One look at everything that might grow. Names are `where.quantity`, such as `caller.heapBytes`. */
export interface Sample {
  /** On the load's clock. */
  readonly atMs: number
  readonly values: Readonly<Record<string, number>>
}
