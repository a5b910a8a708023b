import type { SeenCommand } from '@strata/testkit'
import type { Document } from 'mongodb'
import { names } from './process/names.ts'

/** A statement by which handling a message comes a step further. */
export type Step = 'intend' | 'claim' | 'write' | 'store' | 'commit'

/** A process is killed at one of the steps of handling a message, or a request with a key. */
export interface InboxFault {
  readonly name: string
  /** What happens, in a sentence for the page. */
  readonly about: string
  /** Who is killed: one that handles messages of an inbox, or one that is asked with keys. */
  readonly victim: 'worker' | 'requester'
  readonly step: Step
  /**
   * Before the server has seen the statement; after it has done it and before the process knows; or when the process knows it and
   * nobody else can be told.
   */
  readonly when: 'before' | 'after' | 'known'
}

const worker = { victim: 'worker', when: 'after' } as const
const requester = { victim: 'requester', when: 'after' } as const

export const inboxFaults: readonly InboxFault[] = [
  {
    ...worker,
    name: 'inbox-unclaimed',
    about: 'A worker is killed as it claims a message, and its claim does not arrive',
    step: 'claim',
    when: 'before',
  },
  { ...worker, name: 'inbox-claimed', about: 'A worker is killed when it has claimed a message', step: 'claim' },
  {
    ...worker,
    name: 'inbox-written',
    about: 'A worker is killed when its handler has written, and not yet returned',
    step: 'write',
  },
  {
    ...worker,
    name: 'inbox-stored',
    about: 'A worker is killed when it has stored the result, and not yet committed',
    step: 'store',
  },
  {
    ...worker,
    name: 'inbox-uncommitted',
    about: 'A worker is killed as it commits, and its commit does not arrive',
    step: 'commit',
    when: 'before',
  },
  {
    ...worker,
    name: 'inbox-committed',
    about: 'A worker is killed when it has committed and does not know it yet',
    step: 'commit',
  },
  {
    ...worker,
    name: 'inbox-unacknowledged',
    about: 'A worker is killed when it knows its commit, and its word to the queue does not arrive',
    step: 'commit',
    when: 'known',
  },
  {
    ...requester,
    name: 'key-intended',
    about: 'A process is killed when it has noted that a request with a key came',
    step: 'intend',
  },
  {
    ...requester,
    name: 'key-held',
    about: 'A process is killed when its transaction has the record of the key',
    step: 'claim',
  },
  { ...requester, name: 'key-written', about: 'A process is killed when the request has written', step: 'write' },
  {
    ...requester,
    name: 'key-stored',
    about: 'A process is killed when it has stored the answer, and not yet committed',
    step: 'store',
  },
  {
    ...requester,
    name: 'key-committed',
    about: 'A process is killed when it has committed, and nobody has the answer',
    step: 'commit',
  },
]

/** Tells of each command that a process sends whether it comes to a step with it: with each message once. */
export function watchSteps({ step, victim }: Pick<InboxFault, 'step' | 'victim'>): (command: SeenCommand) => boolean {
  const watch = new StepWatch(victim)
  return command => watch.stepOf(command) === step
}

class StepWatch {
  readonly #victim: InboxFault['victim']
  readonly #claimed = new Set<string>()
  /** By the transaction that they are in; of others the commit is no step: one that has only read a result changes nothing. */
  readonly #inside = new Map<string, Step>()

  constructor(victim: InboxFault['victim']) {
    this.#victim = victim
  }

  stepOf(command: SeenCommand): Step | undefined {
    const { name } = command
    if (!['findAndModify', 'insert', 'update', 'commitTransaction'].includes(name)) return undefined
    const document = command.document()
    const transaction = `${document['lsid']?.id.toString('hex')} ${document['txnNumber']}`
    const collection = document[name]
    if (name === 'commitTransaction') return this.#commit(transaction)
    if (name === 'insert' && collection === names.effects) {
      this.#inside.set(transaction, 'commit')
      return 'write'
    }
    if (collection !== names.rows[this.#victim]) return undefined
    return name === 'update' ? 'store' : this.#claim(transaction, document)
  }

  #commit(transaction: string): Step | undefined {
    const step = this.#inside.get(transaction)
    this.#inside.delete(transaction)
    return step
  }

  #claim(transaction: string, { query, upsert = false }: Document): Step | undefined {
    // Noted in a transaction of its own, before that of the request.
    if (this.#victim === 'requester' && upsert) return void this.#inside.set(transaction, 'intend')
    return this.#claimed.size < this.#claimed.add(String(query._id)).size ? 'claim' : undefined
  }
}
