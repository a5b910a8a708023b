/** What became of the work that an error speaks of: `unknown` is an answer, never a guess. */
export type Outcome = 'applied' | 'not-applied' | 'unknown'

/** One row of a package's registry of errors; the reference page is checked against it. */
export interface ErrorSpec {
  /** The outcome when the thrower does not know better. */
  readonly outcome: Outcome
  /**
   * Whether the same work may succeed if it is tried again as it is. An error whose outcome is `unknown` here, and that the
   * thrower knows was not applied, is transient too unless the thrower says otherwise: nothing about the work itself was wrong.
   */
  readonly transient: boolean
  /** When it is thrown, in one sentence. */
  readonly when: string
}

export interface StrataErrorOptions {
  readonly outcome?: Outcome
  readonly transient?: boolean
  /** Facts for a program or a log: ids, limits with units in their names, what was got and what was expected. */
  readonly details?: Readonly<Record<string, unknown>>
  readonly cause?: unknown
}

/**
 * The one class of error of every Strata package. Branch on `code` (see {@link hasCode}), never on the message and never
 * on `instanceof`: two copies of a package may be installed.
 */
export class StrataError<Code extends string = string> extends Error {
  readonly code: Code
  readonly outcome: Outcome
  readonly transient: boolean
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: Code, message: string, options: StrataErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'StrataError'
    this.code = code
    this.outcome = options.outcome ?? 'not-applied'
    this.transient = options.transient ?? false
    this.details = options.details ?? {}
  }
}

/** Tells whether `error` carries this code, whichever copy of the package made it. */
export function hasCode<Code extends string>(error: unknown, code: Code): error is StrataError<Code> {
  return error instanceof Error && 'code' in error && error.code === code && 'outcome' in error
}

/**
 * Makes the constructor function of one package's errors: the registry gives each code its outcome and whether it is
 * transient, so that a throw site names only what it knows better.
 */
export function errorFactory<Registry extends Readonly<Record<string, ErrorSpec>>>(registry: Registry) {
  return <Code extends keyof Registry & string>(
    code: Code,
    message: string,
    options: StrataErrorOptions = {},
  ): StrataError<Code> => {
    const { outcome, transient } = registry[code] as ErrorSpec
    const isUntouched = outcome === 'unknown' && options.outcome === 'not-applied'
    return new StrataError(code, message, { outcome, transient: transient || isUntouched, ...options })
  }
}
