import type { CommandFault, SeenCommand } from '@strata/testkit'
import type { Document } from 'mongodb'
import type { TransactionFault } from '../fault.ts'
import type { Round } from '../round.ts'

/** Faults drawn for the commands of one kind that a round sends, in their order. */
interface Breaking {
  readonly commands: readonly string[]
  /** Of a hundred transactions that send one, how many have the first broken. */
  readonly percent: number
  /** How many of the same transaction in a row, at most: the driver's own second try is the next. */
  readonly rowMax?: number
  readonly draw: (round: Round, nth: number) => CommandFault
}

function breaking({ commands, percent, rowMax = 3, draw }: Breaking): NonNullable<TransactionFault['breaks']> {
  return round => {
    const { seed } = round
    const rows = new Map<string, { length: number; nth: number }>()
    return ({ name, document }: SeenCommand) => {
      if (!commands.includes(name)) return undefined
      const { autocommit, lsid, txnNumber } = document()
      if (autocommit !== false) return undefined
      const transaction = `${lsid.id.toString('hex')} ${txnNumber}`
      const isSpared = round.times > 0 && seed.integer(1, 100) > percent
      const row = rows.get(transaction) ?? { length: isSpared ? 0 : seed.integer(1, rowMax), nth: 0 }
      rows.set(transaction, row)
      row.nth += 1
      if (row.nth > row.length) return undefined
      round.struck()
      return draw(round, row.nth)
    }
  }
}

const cut = (): CommandFault => ({ kind: 'cut-after' })
const drop = (): CommandFault => ({ kind: 'drop-reply' })

function answer(code: number, more: Document = {}): CommandFault {
  return { kind: 'replace-reply', document: { ok: 0, code, codeName: `Forged${code}`, errmsg: 'forged', ...more } }
}

const retryable = { errorLabels: ['RetryableWriteError'] }

/** A silent connection is given up after 11 s, and after as many again in the driver's own second try. */
const silent = { transactions: 8, callers: 8, deadlineMs: [25_000, 30_000] } as const

const [commit, abort, statements] = [['commitTransaction'], ['abortTransaction'], ['update', 'insert']] as const

export const replyFaults: readonly TransactionFault[] = [
  {
    name: 'commit-reply-dropped',
    about: 'A commit is done and its reply never comes; the connection stays open',
    members: 1,
    load: silent,
    breaks: breaking({ commands: commit, percent: 15, rowMax: 1, draw: drop }),
  },
  {
    name: 'commit-reply-cut',
    about: 'A commit is done and the connection breaks instead of carrying the reply',
    members: 1,
    breaks: breaking({ commands: commit, percent: 30, draw: cut }),
  },
  {
    name: 'commit-reply-replaced',
    about: 'A commit is done and answered as one that met an election, or ran out of time',
    members: 1,
    breaks: breaking({
      commands: commit,
      percent: 30,
      draw: ({ seed }) =>
        seed.integer(0, 3) === 0 ? answer(50) : answer(seed.pick([91, 189, 11_600, 11_602]), retryable),
    }),
  },
  {
    name: 'commit-reply-cut-then-refused',
    about: 'A commit is done, its reply is cut off, and the next try is refused for good or without a label',
    members: 1,
    breaks: breaking({
      commands: commit,
      percent: 30,
      draw: ({ seed }, nth) => (nth === 1 ? cut() : answer(seed.pick([13, 26, 91, 11_602]))),
    }),
  },
  {
    name: 'statement-reply-cut',
    about: 'A statement is done and the connection breaks instead of carrying the reply',
    members: 1,
    explains: { any: ['RETRIES_EXHAUSTED'] },
    breaks: breaking({ commands: statements, percent: 10, draw: cut }),
  },
  {
    name: 'abort-reply-cut',
    about: 'An abort is done and the connection breaks instead of carrying the reply',
    members: 1,
    load: { refused: 60 },
    breaks: breaking({ commands: abort, percent: 30, draw: cut }),
  },
]
