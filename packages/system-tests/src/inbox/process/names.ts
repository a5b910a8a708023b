export const names = {
  effects: 'effects',
  /** What is remembered, by who remembers it. */
  rows: { worker: 'strata.inbox', requester: 'strata.idempotency' },
} as const
