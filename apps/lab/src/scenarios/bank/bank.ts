import { setTimeout as pause } from 'node:timers/promises'
import type { Outcome } from '../../outcome.ts'
import type { Stage } from '../../process/stage.ts'
import type { OwnSettings, Settings } from '../../settings.ts'
import type { Scenario } from '../scenario.ts'
import { allCompleted, counted } from '../verdict.ts'
import { coordinate, goId } from './coordinator.ts'
import type { Account, Ledger } from './ledger.ts'
import { accountIds, balanceCents, drawTransfers } from './plan.ts'
import { transactionLedger } from './transaction-ledger.ts'
import { twoPhaseLedger } from './two-phase-ledger.ts'
import { Watch } from './watch.ts'

// Every root is a transfer between two accounts, made by one of several coordinators, which are the worker processes. Every so often
// one of them is killed, and replaced. Meanwhile the API process reads what all accounts hold together. Shown is that no money is
// made or lost, at any moment, that no transfer moves anything twice or by halves, and that all of them end.

const ledgerOf = (stage: Stage): Ledger =>
  stage.settings.own['mode'] === 'transaction' ? transactionLedger(stage) : twoPhaseLedger(stage)

/** How long the end of all may take once nobody is killed any more. */
const quietMsMax = 30_000

const promises = ['inDoubt', 'doubled', 'negatives', 'unequal', 'changed'] as const

function judge(outcome: Outcome, settings: Settings): readonly string[] {
  const wrong = [...allCompleted(outcome, settings)]
  const [before, after] = [counted(outcome, 'totalBefore'), counted(outcome, 'totalAfter')]
  if (before !== after) wrong.push(`totalAfter is ${after}, promised is ${before}, as before`)
  for (const name of promises) {
    if (counted(outcome, name) > 0) wrong.push(`${name} is ${counted(outcome, name)}, promised is 0`)
  }
  const quietMs = counted(outcome, 'quietMs')
  if (quietMs > quietMsMax)
    wrong.push(`all ended ${quietMs} ms after the last kill, promised is ${quietMsMax} ms at most`)
  if (counted(outcome, 'snapshots') === 0) wrong.push('nobody looked at the accounts meanwhile')
  return wrong
}

const watches = new WeakMap<Stage, Watch>()

function watchOf(stage: Stage): Watch {
  const watch = watches.get(stage) ?? new Watch(stage.settings.roots)
  watches.set(stage, watch)
  return watch
}

/** Kills a coordinator every so often, until all transfers have been begun. */
async function killCoordinators(stage: Stage, watch: Watch): Promise<void> {
  const everyMs = Number(stage.settings.own['killEveryMs'])
  for (let kills = 1; ; kills++) {
    await Promise.race([pause(everyMs, undefined, { ref: false }), watch.quiet])
    if (watch.isQuiet) return
    const replaced = `coordinator ${kills} is replaced`
    stage.report.kill('worker', replaced)
    await stage.gates.wait(replaced)
    stage.count('kills')
  }
}

async function look(stage: Stage, ledger: Ledger, watch: Watch): Promise<void> {
  const accounts = accountIds(stage.settings)
  const expected = accounts.length * balanceCents
  while (!watch.isOver) {
    const { totalCents, lowestCents } = await ledger.snapshot(accounts)
    stage.count('snapshots')
    if (totalCents !== expected) stage.count('unequal')
    if (lowestCents < 0) stage.count('negatives')
    await pause(20)
  }
}

const accountsIn = ({ rawClient, raw }: Stage) =>
  rawClient
    .db(raw.dbName)
    .collection<Account>('accounts')
    .find({}, { sort: { _id: 1 } })
    .toArray()

const totalOf = (accounts: readonly Account[]): number => accounts.reduce((sum, each) => sum + each.balanceCents, 0)

/** Transfers whose notes are not what their end says: each that is done is noted once in both its accounts, no other anywhere. */
function doubledIn(accounts: readonly Account[], done: ReadonlySet<string>, settings: Settings): number {
  const notes = new Map<string, number>()
  const notesOf = (id: string, account: string) => notes.get(`${id} ${account}`) ?? 0
  for (const { _id, journal } of accounts) {
    for (const id of journal) notes.set(`${id} ${_id}`, notesOf(id, _id) + 1)
  }
  const isWrong = ({ id, from, to }: { id: string; from: string; to: string }) =>
    [from, to].some(account => notesOf(id, account) !== (done.has(id) ? 1 : 0))
  return drawTransfers(settings).filter(isWrong).length
}

export const bank: Scenario = {
  name: 'bank',
  scarce: 'nothing',
  strangersMayFail: true,
  topology: 'replica-set',
  depth: { min: 1, default: 1 },
  ample: 16,
  deadlineMs: 300_000,
  flags: {
    mode: { about: 'what moves the money', default: 'two-phase', choices: ['transaction', 'two-phase'] },
    accounts: { about: 'accounts', default: 8, min: 2, max: 1000 },
    transfers: { about: 'transfers, each of them a root', default: 500, min: 1, max: 100_000 },
    coordinators: { about: 'processes that make transfers', default: 4, min: 1, max: 15 },
    killEveryMs: { about: 'how often one of them is killed', default: 1000, min: 100, max: 600_000 },
  },
  roots: ({ transfers }: OwnSettings) => Number(transfers),
  processes: ({ coordinators }: OwnSettings) => Number(coordinators) + 1,
  counts: [
    'totalBefore',
    'totalAfter',
    'negatives',
    'inDoubt',
    'recovered',
    'doubled',
    'unequal',
    'snapshots',
    'changed',
    'kills',
    'quietMs',
    'done',
  ],
  // All want one of a few documents, one after the other.
  lockWaitMs: ({ deadlineMs }) => deadlineMs,
  hazard: 'processes are killed in the middle of moving money between documents (honest ends)',
  promise: () =>
    'all transfers end, each with its effect once or not at all; the total is the same at every look, and no balance is negative, with levels and without',
  judge,
  prepare: async stage => {
    await using ledger = ledgerOf(stage)
    await ledger.prepare(accountIds(stage.settings).map(_id => ({ _id, balanceCents, journal: [] })))
    stage.count('totalBefore', totalOf(await accountsIn(stage)))
  },
  inWorkers: stage => coordinate(stage, stage.begun.use(ledgerOf(stage))),
  beside: async stage => {
    await using ledger = ledgerOf(stage)
    const watch = watchOf(stage)
    await stage.raw.insertOne({ _id: goId, writes: 1 })
    await Promise.all([watch.run(ledger), killCoordinators(stage, watch), look(stage, ledger, watch)])
    stage.longest('quietMs', watch.quietMs)
  },
  root: (stage, root) => watchOf(stage).ended(`transfer-${root}`),
  check: async stage => {
    await using ledger = ledgerOf(stage)
    await ledger.recover()
    const before = await accountsIn(stage)
    await ledger.recover()
    const accounts = await accountsIn(stage)
    if (JSON.stringify(accounts) !== JSON.stringify(before)) stage.count('changed')
    const { inDoubt, recovered, done } = await ledger.standing()
    stage.count('totalAfter', totalOf(accounts))
    stage.count('inDoubt', inDoubt)
    stage.count('recovered', recovered)
    stage.count('done', done.size)
    stage.count('negatives', accounts.filter(account => account.balanceCents < 0).length)
    stage.count('doubled', doubledIn(accounts, done, stage.settings))
  },
}
