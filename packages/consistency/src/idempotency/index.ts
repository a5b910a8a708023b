export {
  type Answered,
  createIdempotency,
  type Idempotency,
  type IdempotencyOptions,
  type KeyedRequest,
} from './idempotency.ts'
