/** What one process counts as in the budget of a store. */
export interface Claimant {
  readonly _id: string
  readonly connections: number
  /** Absent where nothing was declared: then the process is a kind of its own. */
  readonly kind?: string
  readonly processesMax?: number
}

/**
 * An aggregation expression: the connections that the processes of a list may open, those that are declared and not yet started
 * included. A kind of which more run than were declared counts in full. A missing process counts as much as the largest of
 * its kind, because in a rolling deploy it may be of either version.
 */
export function reservedBy(processes: unknown): object {
  const kindOf = { $ifNull: ['$$this.kind', '$$this._id'] }
  const kinds = { $setUnion: [{ $map: { input: processes, in: kindOf } }] }
  const ofKind = { $filter: { input: processes, cond: { $eq: [kindOf, '$$kind'] } } }
  const missing = { $max: [0, { $subtract: [{ $ifNull: [{ $max: '$$of.processesMax' }, 1] }, { $size: '$$of' }] }] }
  const reserved = {
    $add: [{ $sum: '$$of.connections' }, { $multiply: [missing, { $max: '$$of.connections' }] }],
  }
  return { $sum: { $map: { input: kinds, as: 'kind', in: { $let: { vars: { of: ofKind }, in: reserved } } } } }
}

/** The same in numbers, for whoever has to explain it. */
export function connectionsReserved(processes: readonly Claimant[]): number {
  const kinds = Map.groupBy(processes, ({ kind, _id }) => kind ?? _id)
  let sum = 0
  for (const of of kinds.values()) {
    const connections = of.map(each => each.connections)
    const declared = Math.max(1, ...of.map(({ processesMax = 1 }) => processesMax))
    sum += connections.reduce((total, each) => total + each, 0)
    sum += Math.max(0, declared - of.length) * Math.max(...connections)
  }
  return sum
}
