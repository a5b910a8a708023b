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
export type { Pushed, PushOptions, ResultOptions } from './push.ts'
export type { PushAsyncOptions } from './push-async.ts'
export { createQueues, type Queues, type QueuesOptions } from './queues.ts'
export type { RedisClusterTarget, RedisTarget } from './redis.ts'
export { type QueueErrorCode, queueError, queueErrors } from './registry.ts'
export type { Report } from './report.ts'
export type { RunningJob } from './run.ts'
export type { RemoteError } from './wire-error.ts'
export { createWorker, type StopWorkerOptions, type WorkerHandle, type WorkerOptions } from './worker.ts'
