export type { WaitingCall } from './call.ts'
export type { Handler, HandlerContext } from './handlers.ts'
export {
  type DefineJobOptions,
  defineJob,
  type HandlerInput,
  type HandlerResult,
  type JobDefinition,
  type JobInput,
  type JobResult,
} from './job-definition.ts'
export type { LaneLimiter, LaneOptions, LanesOptions } from './lane-settings.ts'
export type { LaneState } from './lane-state.ts'
export type { Outbox, OutboxMessage } from './outbox.ts'
export type { Publisher } from './publisher.ts'
export type { PushOptions } from './push.ts'
export type { PushAsyncOptions } from './push-async.ts'
export type { Pushed, ResultOptions } from './pushed.ts'
export { createQueues, type Queues, type QueuesOptions } from './queues.ts'
export type { RedisClusterTarget, RedisTarget } from './redis.ts'
export { type QueueErrorCode, queueError, queueErrors } from './registry.ts'
export type { Report } from './report.ts'
export type { RunningJob } from './run.ts'
export type { RemoteError } from './wire-error.ts'
export { createWorker, type StopWorkerOptions, type WorkerHandle, type WorkerOptions } from './worker.ts'
