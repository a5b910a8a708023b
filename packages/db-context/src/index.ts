export type { Chain, ChainLink } from './chain.ts'
export type {
  Activity,
  BeginOptions,
  BlockedWrite,
  Datasource,
  DatasourcePool,
  DatasourceTransaction,
  ErrorClass,
  OpenPoolOptions,
  PoolClaim,
  PoolLimits,
  StatementBinding,
  StatementHold,
  StatementScope,
  StatementTarget,
  TransactionConcerns,
  TransactionLifetime,
  WrittenDocuments,
} from './datasource.ts'
export {
  type Current,
  type CurrentTransaction,
  createDbContext,
  type DbContext,
  type RunOptions,
  type SwitchOptions,
} from './db-context.ts'
export { type Deadline, deadlineIn, remainingMs } from './deadline.ts'
export { type ErrorSpec, errorFactory, hasCode, type Outcome, StrataError, type StrataErrorOptions } from './error.ts'
export type { CarriedContext } from './header.ts'
export type { LockLevel } from './lock-levels.ts'
export { LockWait } from './lock-wait.ts'
export { type KeptLocks, type Locks, readMarks } from './locks.ts'
export type { ContextOptions, DeclaredProcesses, Isolation } from './options.ts'
export { patienceMs } from './patience.ts'
export { type Permit, Permits } from './permits.ts'
export type { PoolState } from './pool.ts'
export {
  type Conduct,
  type ConductName,
  conducts,
  type InnerEnd,
  type Propagation,
  type PropagationEnd,
  type PropagationRefusal,
  type PropagationRow,
  type PropagationStep,
  propagationEnd,
  propagations,
} from './propagation.ts'
export type {
  CallStep,
  DeferredPush,
  IncomingJob,
  OutgoingCall,
  OutgoingPush,
  Propagator,
  RunningUnit,
} from './propagator.ts'
export { putBackAfterMs } from './put-back.ts'
export { type DbContextErrorCode, dbContextError, dbContextErrors } from './registry.ts'
export type { BeginTransactionOptions } from './terms.ts'
export type { PoolWait } from './wait.ts'
export { type DocumentSet, readWrites, type TransactionWrites } from './writes.ts'
