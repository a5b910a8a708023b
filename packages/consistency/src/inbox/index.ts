export {
  createInbox,
  type Delivery,
  type Inbox,
  type InboxOptions,
  type InboxTransaction,
  type OnceOptions,
} from './inbox.ts'
export type { Message } from './message.ts'
