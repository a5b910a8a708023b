/** Why the lab or the bench could not do what it was asked; `USAGE` is the caller's to correct. */
export class LabError extends Error {
  readonly code: 'USAGE' | 'RUN_FAILED'

  constructor(code: LabError['code'], message: string, options?: { readonly cause: unknown }) {
    super(message, options)
    this.name = 'LabError'
    this.code = code
  }
}
