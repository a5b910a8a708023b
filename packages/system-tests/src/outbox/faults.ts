import type { CommandFault, SeenCommand } from '@strata/testkit'
import { names } from './process/participant.ts'

/** Something that ends processes while an outbox has work. */
export interface OutboxFault {
  readonly name: string
  /** What happens, in a sentence for the page. */
  readonly about: string
}

/** A process is killed at one of the steps that its work leaves in the database. */
export interface KillFault extends OutboxFault {
  /** Whoever is killed: one that commits, or one that relays what another has committed. */
  readonly victim: 'committer' | 'relay'
  /** The statement of the step. */
  isStep(command: SeenCommand): boolean
  /** Before the server has seen the statement, or after it has done it and before the process knows. */
  readonly when: 'before' | 'after'
  /** It is drawn at which time that it comes to the step: so often at most, since every round has to come to it. */
  readonly timesMax: number
  /** Whether rows may have been sent that are not noted as such. */
  readonly mayRepeat: boolean
}

const isOn = (name: string, collection: string) => (command: SeenCommand) =>
  command.name === name && command.document()[name] === collection

const isCommit = ({ name }: SeenCommand) => name === 'commitTransaction'
const isMark = isOn('update', names.rows)
const isLease = isOn('findAndModify', `${names.rows}.relay`)
const isRead = isOn('find', names.rows)

export const killFaults: readonly KillFault[] = [
  {
    name: 'outbox-before-commit',
    about: 'A process is killed as it commits, and its commit does not arrive',
    victim: 'committer',
    isStep: isCommit,
    timesMax: 20,
    when: 'before',
    mayRepeat: true,
  },
  {
    name: 'outbox-committed',
    about: 'A process is killed when it has committed and not yet published',
    victim: 'committer',
    isStep: isCommit,
    timesMax: 20,
    when: 'after',
    mayRepeat: true,
  },
  {
    name: 'outbox-published',
    about: 'A process is killed when it has published what it committed and not yet noted it',
    victim: 'committer',
    isStep: isMark,
    timesMax: 4,
    when: 'before',
    mayRepeat: true,
  },
  {
    name: 'outbox-marked',
    about: 'A process is killed when it has noted what it published',
    victim: 'committer',
    isStep: isMark,
    timesMax: 4,
    when: 'after',
    mayRepeat: false,
  },
  {
    name: 'relay-leased',
    about: 'A relay is killed when it has taken or renewed its lease',
    victim: 'relay',
    isStep: isLease,
    timesMax: 1,
    when: 'after',
    mayRepeat: false,
  },
  {
    name: 'relay-read',
    about: 'A relay is killed when it has read what is to be published',
    victim: 'relay',
    isStep: isRead,
    timesMax: 1,
    when: 'after',
    mayRepeat: false,
  },
  {
    name: 'relay-published',
    about: 'A relay is killed when it has published a batch and not yet noted it',
    victim: 'relay',
    isStep: isMark,
    timesMax: 1,
    when: 'before',
    mayRepeat: true,
  },
  {
    name: 'relay-marked',
    about: 'A relay is killed when it has noted what it published',
    victim: 'relay',
    isStep: isMark,
    timesMax: 1,
    when: 'after',
    mayRepeat: false,
  },
]

export const stormFault: OutboxFault = {
  name: 'outbox-storm',
  about: 'Of two relays the one that publishes is killed, and Redis with it, every few seconds',
}

/** A server is lost, and another takes its place, while processes commit, publish and relay. */
export interface FailoverFault extends OutboxFault {
  readonly how: 'primary-killed' | 'primary-stepped-down' | 'redis-failed-over'
}

export const failoverFaults: readonly FailoverFault[] = [
  {
    name: 'outbox-primary-killed',
    about: 'Of three MongoDB servers the primary is killed while transactions push and relays publish',
    how: 'primary-killed',
  },
  {
    name: 'outbox-primary-stepped-down',
    about: 'Of three MongoDB servers the primary steps down meanwhile, with or without a word to the others',
    how: 'primary-stepped-down',
  },
  {
    name: 'outbox-redis-failed-over',
    about: 'Redis is killed meanwhile and its replica takes over, without what it has not received: that is lost',
    how: 'redis-failed-over',
  },
]

/** All that ends processes under an outbox. */
export const outboxFaults: readonly OutboxFault[] = [stormFault, ...killFaults, ...failoverFaults]

/** What becomes of the statement at which the process is killed, and the kill. */
export function faultAt({ when }: KillFault, kill: () => void): CommandFault {
  if (when === 'after') return { kind: 'drop-reply', onReply: kill }
  kill()
  return { kind: 'cut-before' }
}
