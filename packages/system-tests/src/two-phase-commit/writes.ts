import type { SeenCommand } from '@strata/testkit'
import { names } from './bank.ts'

/** Tells one durable write of the protocol from all other commands. */
export type IsWrite = (command: SeenCommand) => boolean

export const isInsert: IsWrite = ({ name, document }) => name === 'insert' && document()['insert'] === names.records

type Stage = { readonly $set?: Readonly<Record<string, unknown>> }

/** What a change of a record sets, in all its stages; undefined for other commands. */
function setBy({ name, document }: SeenCommand): Readonly<Record<string, unknown>> | undefined {
  if (name !== 'findAndModify') return undefined
  const { findAndModify, update } = document()
  if (findAndModify !== names.records || !Array.isArray(update)) return undefined
  return Object.assign({}, ...update.map(({ $set }: Stage) => $set))
}

/** A write of a record that sets this state. */
export const isMove =
  (state: string): IsWrite =>
  command =>
    setBy(command)?.['state'] === state

/** A write of a record that changes its claim alone. */
const isOfClaim =
  (is: (set: Readonly<Record<string, unknown>>) => boolean): IsWrite =>
  command => {
    const set = setBy(command)
    return set !== undefined && set['state'] === undefined && is(set)
  }

export const isTakeOver = isOfClaim(({ token }) => token !== undefined)
export const isRenewal = isOfClaim(({ token, until }) => token === undefined && typeof until === 'object')
export const isLetGo = isOfClaim(({ owner, stuck }) => owner === '$$REMOVE' && stuck === undefined)
export const isDecision = isOfClaim(({ resolving }) => resolving !== undefined)
export const isStuck = isOfClaim(({ owner, stuck }) => owner === '$$REMOVE' && stuck !== undefined)

type Update = { readonly u: Readonly<Record<string, Readonly<Record<string, unknown>>>> | readonly object[] }

const updatesOf = (command: SeenCommand) => (command.document()['updates'] ?? []) as readonly Update[]

/** A write of a document that takes part. */
const isOfDocument =
  (is: (update: Update['u']) => boolean): IsWrite =>
  command =>
    command.name === 'update' &&
    command.document()['update'] === names.accounts &&
    updatesOf(command).some(({ u }) => is(u))

const isPipelineOf = (update: Update['u'], removes: boolean) =>
  Array.isArray(update) && JSON.stringify(update).includes('pendingTransactions') === removes

const has = (update: Update['u'], operator: string, field: string) => field in Object(Object(update)[operator])

export const isStep = isOfDocument(() => true)
export const isApply = isOfDocument(update => has(update, '$push', 'pendingTransactions'))
export const isRelease = isOfDocument(update => isPipelineOf(update, true))
export const isReverse = isOfDocument(
  update => has(update, '$pull', 'pendingTransactions') && has(update, '$inc', 'balance'),
)
export const isBar = isOfDocument(update => isPipelineOf(update, false))

/** What a person who resolves takes from a document: without any effect on what it has. */
export const isClearing = isOfDocument(
  update => has(update, '$pull', 'pendingTransactions') && !has(update, '$inc', 'balance'),
)
