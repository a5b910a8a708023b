/** What a transaction does about one that is already open. */
export type Propagation = 'required' | 'requires-new' | 'not-supported' | 'supports' | 'mandatory' | 'never' | 'nested'

/** What `begin` does where it stands: a key of {@link conducts}. */
export type ConductName = 'joins' | 'begins' | 'begins deeper' | 'plain' | 'plain deeper'

/** Why `begin` does nothing where it stands. */
export type PropagationRefusal = 'TRANSACTION_REQUIRED' | 'TRANSACTION_NOT_ALLOWED' | 'PROPAGATION_UNSUPPORTED'

export interface PropagationRow {
  /** Where a transaction of the same datasource is open at the current level. */
  readonly inside: ConductName | PropagationRefusal
  /** Everywhere else: also one level below an open transaction, and inside one of another datasource. */
  readonly outside: ConductName | PropagationRefusal
}

/**
 * The one table of propagation: `begin` reads it, the reference page is printed from it, and the conformance suite runs each
 * of its cells on every adapter. `nested` is refused everywhere, also where it could begin: a program that needs savepoints is
 * to find out at its first call.
 */
export const propagations = {
  required: { inside: 'joins', outside: 'begins' },
  'requires-new': { inside: 'begins deeper', outside: 'begins' },
  'not-supported': { inside: 'plain deeper', outside: 'plain' },
  supports: { inside: 'joins', outside: 'plain' },
  mandatory: { inside: 'joins', outside: 'TRANSACTION_REQUIRED' },
  never: { inside: 'TRANSACTION_NOT_ALLOWED', outside: 'plain' },
  nested: { inside: 'PROPAGATION_UNSUPPORTED', outside: 'PROPAGATION_UNSUPPORTED' },
} as const satisfies Record<Propagation, PropagationRow>

/** How the inner body ends: it resolves, it rejects, or it rejects and the body around `begin` catches that. */
export type InnerEnd = 'ok' | 'fails' | 'caught'

/** `body` is the code around `begin` going on; the others are hooks registered by the two bodies. */
export type PropagationStep = 'body' | 'inner commit' | 'inner rollback' | 'outer commit' | 'outer rollback'

/** What comes of one cell of the table. */
export interface PropagationEnd {
  /** Whether the statements of the inner body are applied in the end. */
  readonly inner: boolean
  /** Whether those of the transaction around it are; undefined where there is none. */
  readonly outer?: boolean
  /** What the outermost `begin` rejects with: nothing, the inner body's own error, or this code. */
  readonly error?: 'own' | 'ROLLBACK_ONLY' | PropagationRefusal
  /** In which order the hooks run; of one transaction in the order in which they were registered. */
  readonly order: readonly PropagationStep[]
}

export interface Conduct {
  /** One level deeper than the code around it: `LEVEL_LIMIT` at the limit, before anything is done. */
  readonly deeper: boolean
  readonly transaction: 'outer' | 'own' | 'none'
  readonly ends: Readonly<Record<InnerEnd, PropagationEnd>>
}

/**
 * What each conduct means. Hooks of a body that joins belong to the transaction it joins. A plain body has hooks as well, as
 * in Spring: `afterCommit` after it has resolved, `afterRollback` after it has rejected, although its statements
 * stand; so code that only `supports` a transaction need not know whether there is one.
 */
export const conducts = {
  joins: {
    deeper: false,
    transaction: 'outer',
    ends: {
      ok: { inner: true, outer: true, order: ['body', 'outer commit', 'inner commit'] },
      fails: { inner: false, outer: false, error: 'own', order: ['outer rollback', 'inner rollback'] },
      caught: {
        inner: false,
        outer: false,
        error: 'ROLLBACK_ONLY',
        order: ['body', 'outer rollback', 'inner rollback'],
      },
    },
  },
  begins: {
    deeper: false,
    transaction: 'own',
    ends: {
      ok: { inner: true, order: ['inner commit', 'body'] },
      fails: { inner: false, error: 'own', order: ['inner rollback'] },
      caught: { inner: false, order: ['inner rollback', 'body'] },
    },
  },
  'begins deeper': {
    deeper: true,
    transaction: 'own',
    ends: {
      ok: { inner: true, outer: true, order: ['inner commit', 'body', 'outer commit'] },
      fails: { inner: false, outer: false, error: 'own', order: ['inner rollback', 'outer rollback'] },
      caught: { inner: false, outer: true, order: ['inner rollback', 'body', 'outer commit'] },
    },
  },
  plain: {
    deeper: false,
    transaction: 'none',
    ends: {
      ok: { inner: true, order: ['inner commit', 'body'] },
      fails: { inner: true, error: 'own', order: ['inner rollback'] },
      caught: { inner: true, order: ['inner rollback', 'body'] },
    },
  },
  'plain deeper': {
    deeper: true,
    transaction: 'none',
    ends: {
      ok: { inner: true, outer: true, order: ['inner commit', 'body', 'outer commit'] },
      fails: { inner: true, outer: false, error: 'own', order: ['inner rollback', 'outer rollback'] },
      caught: { inner: true, outer: true, order: ['inner rollback', 'body', 'outer commit'] },
    },
  },
} as const satisfies Record<ConductName, Conduct>

/** True for the cells of the table that do something. */
export const isConduct = (cell: ConductName | PropagationRefusal): cell is ConductName => Object.hasOwn(conducts, cell)

/** What comes of a cell that refuses: the inner body never runs, and a caught refusal leaves the outer transaction as it is. */
function refusalEnd(code: PropagationRefusal, inside: boolean, end: InnerEnd): PropagationEnd {
  const caught = end === 'caught'
  if (!inside) return caught ? { inner: false, order: ['body'] } : { inner: false, error: code, order: [] }
  if (caught) return { inner: false, outer: true, order: ['body', 'outer commit'] }
  return { inner: false, outer: false, error: code, order: ['outer rollback'] }
}

/** What comes of one cell of the table when the inner body ends like this. */
export function propagationEnd(propagation: Propagation, where: keyof PropagationRow, end: InnerEnd): PropagationEnd {
  const cell = propagations[propagation][where]
  return isConduct(cell) ? conducts[cell].ends[end] : refusalEnd(cell, where === 'inside', end)
}
