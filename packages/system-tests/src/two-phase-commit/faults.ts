import type { CommandFault, SeenCommand } from '@strata/testkit'
import { names } from './bank.ts'

export type Verb = 'run' | 'cancel' | 'recover'

/** A coordinator is killed at one of the writes that a transaction consists of. */
export interface TwoPhaseFault {
  readonly name: string
  /** What happens, in a sentence for the page. */
  readonly about: string
  /** What the coordinator does: `recover` takes up what another has left. */
  readonly verb: Verb
  /** The write. */
  isStep(command: SeenCommand): boolean
  /** Before the server has seen it, or after it has done it and before the process knows. */
  readonly when: 'before' | 'after'
  /** Drawn at which time that it comes to the step: so often at most, since every round has to come to it. */
  readonly timesMax: number
}

const isInsert = ({ name, document }: SeenCommand) => name === 'insert' && document()['insert'] === names.records

/** A write of a record that sets this state. */
const isMove = (state: string) => (command: SeenCommand) => {
  if (command.name !== 'findAndModify') return false
  const { findAndModify, update } = command.document()
  if (findAndModify !== names.records || !Array.isArray(update)) return false
  return update.some(stage => stage.$set?.state === state)
}

/** A write of a record that gives a claim, and changes nothing else. */
const isTakeOver = ({ name, document }: SeenCommand) => {
  if (name !== 'findAndModify') return false
  const { findAndModify, update } = document()
  if (findAndModify !== names.records || !Array.isArray(update)) return false
  return update.some(stage => stage.$set?.token) && !update.some(stage => stage.$set?.state)
}

type Update = { readonly u: Readonly<Record<string, Readonly<Record<string, unknown>>>> | readonly object[] }

const updatesOf = (command: SeenCommand) => (command.document()['updates'] ?? []) as readonly Update[]

/** A write of a document that takes part. */
const isWrite = (is: (update: Update['u']) => boolean) => (command: SeenCommand) =>
  command.name === 'update' &&
  command.document()['update'] === names.accounts &&
  updatesOf(command).some(({ u }) => is(u))

const isPipelineOf = (update: Update['u'], removes: boolean) =>
  Array.isArray(update) && JSON.stringify(update).includes('pendingTransactions') === removes

export const isApply = isWrite(update => 'pendingTransactions' in Object(Object(update)['$push']))

const steps: readonly [name: string, what: string, isStep: TwoPhaseFault['isStep'], timesMax: number, verb?: Verb][] = [
  ['record', 'the record of a transaction', isInsert, 3],
  ['start', 'the claim of one that was submitted', isMove('pending'), 1],
  ['take-over', 'the claim of what another has left', isTakeOver, 1, 'recover'],
  ['cancel', 'what cancels it from outside', isMove('canceling'), 4, 'cancel'],
  ['apply', "a participant's update", isApply, 6],
  ['commit', 'what puts it in force', isMove('applied'), 2],
  ['release', 'a release of a participant', isWrite(update => isPipelineOf(update, true)), 4],
  ['finish', 'the end of one that is in force', isMove('done'), 2],
  ['abandon', 'what cancels it, since a guard has failed', isMove('canceling'), 2],
  ['reverse', 'what undoes an update', isWrite(update => 'pendingTransactions' in Object(Object(update)['$pull'])), 2],
  ['bar', 'the tombstone of what was not applied', isWrite(update => isPipelineOf(update, false)), 2],
  ['close', 'the end of one that was canceled', isMove('canceled'), 2],
]

/** All durable writes of the protocol, before and after. */
export const killFaults: readonly TwoPhaseFault[] = steps.flatMap(([name, what, isStep, timesMax, verb = 'run']) =>
  (['before', 'after'] as const).map(when => ({
    name: `two-phase-${name}-${when}`,
    about: `A coordinator is killed ${when === 'before' ? 'before it writes' : 'when it has written'} ${what}`,
    verb,
    isStep,
    when,
    timesMax,
  })),
)

/** An update that was sent arrives only when its transaction has been canceled, before and after the deadline it carries. */
export const lateFault = {
  name: 'two-phase-apply-late',
  about:
    "A participant's update is sent by a coordinator that is gone, and arrives when its transaction has been canceled",
} as const

export const twoPhaseFaults: readonly Pick<TwoPhaseFault, 'name' | 'about'>[] = [...killFaults, lateFault]

/** What becomes of the write at which the process is killed. */
export const faultAt = ({ when }: TwoPhaseFault): CommandFault => ({
  kind: when === 'before' ? 'cut-before' : 'drop-reply',
})
