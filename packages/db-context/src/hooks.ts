import { at, deadlineIn } from './deadline.ts'
import { dbContextError } from './registry.ts'
import { innerScope, type Scope } from './scope.ts'

export type Hook = () => unknown

/** What hooks are registered with: a transaction, or a body that `begin` runs without one. */
export interface HookOwner {
  readonly afterCommit: Hook[]
  readonly afterRollback: Hook[]
  /** False once the hooks have been, or are being, run: another one would never be. */
  readonly isOpen: boolean
}

/** The hooks of a body that runs without a transaction. */
export class PlainHooks implements HookOwner {
  readonly afterCommit: Hook[] = []
  readonly afterRollback: Hook[] = []
  isOpen = true
}

/** The longest that one hook is waited for: whoever began the transaction waits for its hooks. */
const hookMsMax = 30_000

export interface HookRunnerOptions {
  readonly enter: <T>(scope: Scope, body: () => Promise<T>) => Promise<T>
  readonly report: (error: unknown, what: string) => void
}

export class HookRunner {
  readonly #options: HookRunnerOptions

  constructor(options: HookRunnerOptions) {
    this.#options = options
  }

  /** In order, outside the ended transaction, each for a bounded time; what goes wrong is reported and changes nothing. */
  async run(scope: Scope, owner: HookOwner, what: 'afterCommit' | 'afterRollback'): Promise<void> {
    for (const hook of owner[what]) {
      const late = Promise.withResolvers<never>()
      const disarm = at(deadlineIn(hookMsMax), () => late.reject(hookTimeout(what)))
      try {
        await Promise.race([this.#options.enter(innerScope(scope, { isHook: true }), async () => hook()), late.promise])
      } catch (error) {
        this.#options.report(error, what)
      } finally {
        disarm()
      }
    }
  }
}

const hookTimeout = (what: string) =>
  dbContextError('DEADLINE_EXCEEDED', `Hook ${what} did not end within ${hookMsMax} ms and is no longer waited for`)

/**
 * Whatever hooks registered at this scope belong to.
 *
 * @throws TRANSACTION_MISSING outside any `begin` of this level, TRANSACTION_ENDED after its end
 */
export function hookOwner(scope: Scope): HookOwner {
  for (let at: Scope | undefined = scope; at?.level === scope.level; at = at.outer) {
    const owner = at.transaction ?? at.plain
    if (owner?.isOpen) return owner
    if (owner)
      throw dbContextError('TRANSACTION_ENDED', 'Hook came after its transaction had ended: await all of its body')
  }
  throw dbContextError(
    'TRANSACTION_MISSING',
    'No transaction.begin around this call at this level: hooks belong inside its body',
  )
}
