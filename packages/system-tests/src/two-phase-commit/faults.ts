import type { CommandFault } from '@strata/testkit'
import type { PrimaryEnd } from '../transactions/rig.ts'
import type { NetworkName } from './network.ts'
import {
  type IsWrite,
  isApply,
  isBar,
  isClearing,
  isDecision,
  isInsert,
  isLetGo,
  isMove,
  isRelease,
  isRenewal,
  isReverse,
  isStuck,
  isTakeOver,
} from './writes.ts'

/** What the one that is killed does: `recover` takes up what another has left, `stop` runs and is stopped, `resolve` is a person. */
export type Verb = 'run' | 'cancel' | 'recover' | 'stop' | 'resolve'

/** In which state another has left a transaction. */
export type LeftState = 'pending' | 'applied' | 'canceling'

/** How a round comes to a write that not every run of a transfer comes to. */
export interface Scene {
  readonly verb: Verb
  /** Somebody has left one in one of these states, drawn. */
  readonly left?: readonly [LeftState, ...LeftState[]]
  /** The one that is killed knows no participant of the accounts' name, as one of another version. */
  readonly isStranger?: true
  /** What becomes of its updates of participants meanwhile. */
  readonly network?: NetworkName
  /** The first transfer is to an account that there is not. */
  readonly isMissing?: true
}

/** A coordinator, or a person's process, is killed at one of the writes that a transaction consists of. */
export interface TwoPhaseFault extends Scene {
  readonly name: string
  /** What happens, in a sentence for the page. */
  readonly about: string
  /** The write. */
  readonly isStep: IsWrite
  /** Before the server has seen it, or after it has done it and before the process knows. */
  readonly when: 'before' | 'after'
  /** Drawn at which time that it comes to the step: so often at most, since every round has to come to it. */
  readonly timesMax: number
}

const anyState = ['pending', 'applied', 'canceling'] as const

const recovers: Scene = { verb: 'recover', left: anyState }
const cancels: Scene = { verb: 'cancel' }
const isSlow: Scene = { verb: 'run', network: 'slow' }
const parks: Scene = { verb: 'run', isMissing: true }
const isLost: Scene = { verb: 'run', network: 'away' }
const stops: Scene = { verb: 'stop', network: 'slow' }
const isStrange: Scene = { ...recovers, isStranger: true }
const resolves: Scene = { verb: 'resolve', left: anyState }
const resolvesBegun: Scene = { verb: 'resolve', left: ['applied', 'canceling'] }
const resolvesPending: Scene = { verb: 'resolve', left: ['pending'] }

const writes: readonly [name: string, what: string, isStep: IsWrite, timesMax: number, scene?: Scene][] = [
  ['record', 'the record of a transaction', isInsert, 3],
  ['start', 'the claim of one that was submitted', isMove('pending'), 1],
  ['take-over', 'the claim of what another has left', isTakeOver, 1, recovers],
  ['renew', 'the renewal of its claim', isRenewal, 4, isSlow],
  ['cancel', 'what cancels it from outside', isMove('canceling'), 4, cancels],
  ['apply', "a participant's update", isApply, 6],
  ['commit', 'what puts it in force', isMove('applied'), 2],
  ['release', 'a release of a participant', isRelease, 4],
  ['finish', 'the end of one that is in force', isMove('done'), 2],
  ['abandon', 'what cancels it, since a guard has failed', isMove('canceling'), 2],
  ['reverse', 'what undoes an update', isReverse, 2],
  ['bar', 'the tombstone of what was not applied', isBar, 2],
  ['close', 'the end of one that was canceled', isMove('canceled'), 2],
  ['park', 'that it lets go of one for which only time is missing', isLetGo, 1, parks],
  ['interrupt', 'that it lets go of one whose participants do not answer', isLetGo, 1, isLost],
  ['stop', 'that it lets go, since it is stopped', isLetGo, 2, stops],
  ['stick', 'that it lets go of one for a person to look at', isStuck, 1, isStrange],
  ['resolve-claim', 'the claim of one that is stuck', isTakeOver, 1, resolves],
  ['resolve-cancel', 'what cancels one that is stuck', isMove('canceling'), 1, resolvesPending],
  ['resolve-decision', 'what a person has decided of one that is stuck', isDecision, 1, resolvesBegun],
  ['resolve-clear', 'what clears a document of one that is stuck', isClearing, 2, resolvesBegun],
  [
    'resolve-end',
    'the end of one that is stuck',
    command => isMove('done')(command) || isMove('canceled')(command),
    1,
    resolvesBegun,
  ],
]

/** All durable writes of the protocol, before and after. */
export const killFaults: readonly TwoPhaseFault[] = writes.flatMap(
  ([name, what, isStep, timesMax, scene = { verb: 'run' }]) =>
    (['before', 'after'] as const).map(when => ({
      ...scene,
      name: `two-phase-${name}-${when}`,
      about: `A ${scene.verb === 'resolve' ? "person's process" : 'coordinator'} is killed ${when === 'before' ? 'before it writes' : 'when it has written'} ${what}`,
      isStep,
      when,
      timesMax,
    })),
)

const leaving = (name: LeftState, isStep: IsWrite, timesMax: number): TwoPhaseFault => ({
  name: `left ${name}`,
  about: `A coordinator leaves a transaction that is ${name}`,
  verb: 'run',
  isStep,
  when: 'after',
  timesMax,
})

/** How what is taken over, or resolved, comes to be. */
export const leavings: Readonly<Record<LeftState, TwoPhaseFault>> = {
  pending: leaving('pending', isApply, 2),
  applied: leaving('applied', isMove('applied'), 2),
  canceling: leaving('canceling', isMove('canceling'), 2),
}

/** An update that was sent arrives only when its transaction has been canceled, before and after the deadline it carries. */
export const lateFault = {
  name: 'two-phase-apply-late',
  about:
    "A participant's update is sent by a coordinator that is gone, and arrives when its transaction has been canceled",
} as const

export interface FailoverFault {
  readonly name: string
  readonly about: string
  readonly how: PrimaryEnd
}

export const failoverFaults: readonly FailoverFault[] = [
  {
    name: 'two-phase-primary-killed',
    about: 'Of three servers the primary is killed while transactions run and others recover',
    how: 'primary-killed',
  },
  {
    name: 'two-phase-primary-stepped-down',
    about: 'Of three servers the primary steps down meanwhile, with or without a word to the others',
    how: 'primary-stepped-down',
  },
]

export const twoPhaseFaults: readonly Pick<TwoPhaseFault, 'name' | 'about'>[] = [
  ...killFaults,
  lateFault,
  ...failoverFaults,
]

/** What becomes of the write at which the process is killed. */
export const faultAt = ({ when }: Pick<TwoPhaseFault, 'when'>): CommandFault => ({
  kind: when === 'before' ? 'cut-before' : 'drop-reply',
})
