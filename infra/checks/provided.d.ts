// What the integration and deadlock projects provide to `inject` from vitest. Listed in tsconfig.base.json, so that
// every package's tests see it without importing anything from infra.
import 'vitest'

declare module 'vitest' {
  interface ProvidedContext {
    /** A replica set of one, shared by the whole run: give each test file a database of its own. */
    readonly mongoUrl: string
    /** The same server behind a proxy that makes it look load-balanced (transactions and cursors pin a connection). */
    readonly mongoLbUrl: string
    /** Shared by the whole run: give each test file a key prefix of its own. */
    readonly redisUrl: string
  }
}
