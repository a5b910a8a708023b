import { conducts, type InnerEnd, type Propagation, propagationEnd, propagations } from '@strata/db-context'

type Where = 'inside' | 'outside'

/** Prints the reference page of propagation from the table that the code runs, so that the two cannot differ. */
export function printPropagation(): string {
  const sections = (['inside', 'outside'] as const).map(where => `## ${titles[where]}\n\n${table(where)}`)
  return `${preamble}\n\n${choice()}\n\n${sections.join('\n\n')}\n\n${words}\n`
}

const titles = { inside: 'Inside a transaction', outside: 'Outside any transaction' }

const preamble = `# Propagation

What \`db.transaction.begin(fn, { propagation })\` does about a transaction that is already open. _Inside_ means that one of the same
datasource is open at the current level; one level deeper, or on another datasource, is _outside_. This page is printed from the
table that the code runs and that the conformance suite plays on every adapter (\`npm test -- --project unit -u\`).`

const words = `_joins_: the body is a part of the open transaction, and its hooks are that transaction's; if it fails, the whole can only be rolled
back, and \`ROLLBACK_ONLY\` carries the first failure as its \`cause\`; a transient failure of the server runs the whole body again
instead. _begins_: a transaction of its own. _plain_: no transaction, each statement is applied at once and stands. _deeper_: one
level deeper, on other connections; at \`levels.max\` that is \`LEVEL_LIMIT\` before anything is done.

In _order_, \`body\` is the code around \`begin\` going on, \`inner commit\` a hook that the inner body registered with \`afterCommit\`, and so on.
Hooks run when the connection has been given back, at the level of what has ended, outside it, in the order in which they were
registered, each for 30 s at most. A plain body has hooks as well: \`afterCommit\` after it has resolved, \`afterRollback\` after it has
rejected, although its statements stand. Where a commit is \`COMMIT_UNKNOWN\`, neither kind is run. Outside any \`begin\`
a hook is \`TRANSACTION_MISSING\`, after its end \`TRANSACTION_ENDED\`.

Only \`required\` and \`requires-new\` take \`deadlineMs\`, \`retries\`, \`readConcern\` and \`writeConcern\`; a body that joins may ask for those of
the open transaction, and for a longer deadline, which is kept by the shorter one; anything else is \`CONFIG\`.`

function choice(): string {
  const rows = Object.entries(propagations).map(
    ([name, { inside, outside }]) => `| \`${name}\` | ${print(inside)} | ${print(outside)} |`,
  )
  return ['| propagation | inside | outside |', '|---|---|---|', ...rows].join('\n')
}

const ends: Record<InnerEnd, string> = {
  ok: 'resolves',
  fails: 'rejects',
  caught: 'rejects, and the code around catches it',
}

const refusals: Partial<Record<InnerEnd, string>> = {
  fails: 'never runs',
  caught: 'never runs, and the code around catches the refusal',
}

function table(where: Where): string {
  const columns = ['cell', 'the inner body', 'inner applied', 'outer applied', '`begin` rejects with', 'order']
  const rows = cells(where).flatMap(({ cell, propagation }) =>
    Object.entries(isConduct(cell) ? ends : refusals).map(([end, text]) => {
      const { inner, outer, error, order } = propagationEnd(propagation, where, end as InnerEnd)
      return row([print(cell), text, yes(inner), yes(outer), printError(error), order.join(', ') || 'nothing'])
    }),
  )
  return [row(columns), row(columns.map(() => '---')), ...rows].join('\n')
}

const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`

/** Each conduct once, with one propagation that leads to it. */
function cells(where: Where) {
  const first = new Map<string, Propagation>()
  for (const [name, row] of Object.entries(propagations)) {
    if (!first.has(row[where])) first.set(row[where], name as Propagation)
  }
  return [...first].map(([cell, propagation]) => ({ cell, propagation }))
}

const yes = (applied: boolean | undefined) => (applied === undefined ? '-' : applied ? 'yes' : 'no')
const isConduct = (cell: string) => Object.hasOwn(conducts, cell)
const print = (cell: string) => (isConduct(cell) ? cell : `\`${cell}\``)

function printError(error: string | undefined): string {
  if (error === undefined) return 'nothing'
  return error === 'own' ? "the body's error" : `\`${error}\``
}
