import type { LockLevels } from './lock-levels.ts'
import type { CallStep, OutgoingCall } from './propagator.ts'
import { enclosingTransaction, innermostOpen, noteHeldUp, openTransactions, type Scope } from './scope.ts'
import type { Transaction } from './transaction.ts'

/** What becomes of a call, as far as the unit of work and the transactions around it have to know. */
export function callNotes(
  scope: Scope,
  name: string,
  lockLevels: LockLevels,
): Pick<OutgoingCall, 'sent' | 'unsent' | 'heldUp' | 'step'> {
  const what = `call of ${name}`
  const noted: string[][] = []
  let isSent = false
  return {
    sent: ({ isStep = false } = {}) => {
      if (!isSent) scope.unit.noteEffect()
      isSent = true
      for (const transaction of openTransactions(scope)) {
        noted.push(note(transaction, what, isStep))
        for (const collection of transaction.writes.collections) lockLevels.held(collection, transaction.level)
      }
    },
    unsent: () => {
      if (isSent) scope.unit.forgetEffect()
      isSent = false
      for (const effects of noted.splice(0)) effects.splice(effects.indexOf(what), 1)
    },
    heldUp: error => noteHeldUp(scope, error),
    step: () => stepOf(scope, what),
  }
}

function note({ calls, effects }: Transaction, what: string, isStep: boolean): string[] {
  const noted = isStep ? calls : effects
  noted.push(what)
  return noted
}

function stepOf(scope: Scope, what: string): CallStep | undefined {
  const transaction = innermostOpen(scope)
  if (!transaction) return undefined
  const { steps } = transaction
  const around = openTransactions(scope)
  return {
    id: transaction.nextStep(),
    owner: steps.root,
    isShared: steps.isShared,
    signal: enclosingTransaction(scope) ? steps.signal : AbortSignal.any([scope.unit.signal, steps.signal]),
    lose: () => steps.lose(what),
    diverge: error => {
      for (const each of around) each.fail(error)
    },
  }
}
