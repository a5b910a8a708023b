/** True for a write whose caller asked for no answer: then nobody can say what became of it. */
export function isUnacknowledged(options: { readonly [option: string]: unknown } | undefined): boolean {
  const { writeConcern } = options ?? {}
  return typeof writeConcern === 'object' && writeConcern !== null && 'w' in writeConcern && writeConcern.w === 0
}
