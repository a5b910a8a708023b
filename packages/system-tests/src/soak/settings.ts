/** What one soak is made of. Times are in milliseconds, sizes in bytes. */
export interface SoakSettings {
  /** Root calls that arrive in a second, whether or not earlier ones have ended. */
  readonly rate: number
  /** The least share of that rate: a machine that does less has shown nothing about it. */
  readonly rateShareMin: number
  /** Load before anything is measured: pools, lanes, kept records and compiled code reach their size. */
  readonly warmUpMs: number
  /** Load that is measured; its first fifth is held against its last. */
  readonly spanMs: number
  readonly workers: number
  readonly payloadBytes: number
  /** Records of ended jobs that each lane keeps. */
  readonly recordsKept: number
  /** For the times of arrival. */
  readonly seed: number
  /** A leak on purpose, for the test of the soak itself: workers keep the payload of every so many jobs. */
  readonly leakEvery?: number
}

/** How deep each root call goes: as many jobs a call. */
export const depth = 3

/** Longer than the slowest lane takes to fill its records at the whole rate. */
const warmUpMsWhole = 90_000
/** What the queue keeps by default. */
const recordsKeptDefault = 10_000

const whole = { rate: 300, seconds: 600 } as const
/** The command has an hour, and a busy machine needs longer than the span. */
const secondsLimit = 2_400

/**
 * The settings of the whole soak: `STRATA_SOAK_RATE` (300 root calls a second) and `STRATA_SOAK_SECONDS` (600, measured after a
 * warm-up of 90 s).
 * @throws Error that names the variable, its value and its bounds
 */
export function readSettings(env: NodeJS.ProcessEnv, seed: number): SoakSettings {
  const rate = wholeNumber(env, 'STRATA_SOAK_RATE', { fallback: whole.rate, min: 1, max: 10_000 })
  const seconds = wholeNumber(env, 'STRATA_SOAK_SECONDS', { fallback: whole.seconds, min: 10, max: secondsLimit })
  return {
    rate,
    rateShareMin: 0.95,
    warmUpMs: warmUpMsWhole,
    spanMs: seconds * 1000,
    workers: 2,
    payloadBytes: 1024,
    recordsKept: recordsFilledBy(rate, warmUpMsWhole),
    seed,
  }
}

/**
 * At most what half the warm-up brings: a lane that were still filling would grow by a key a job, and hide a leak or look like
 * one.
 */
export const recordsFilledBy = (rate: number, warmUpMs: number): number =>
  Math.min(recordsKeptDefault, Math.ceil((rate * warmUpMs) / 2000))

interface Bounds {
  readonly fallback: number
  readonly min: number
  readonly max: number
}

function wholeNumber(env: NodeJS.ProcessEnv, name: string, { fallback, min, max }: Bounds): number {
  const text = env[name]
  const value = text === undefined || text === '' ? fallback : Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new Error(`${name} is "${text}", expected a whole number from ${min} to ${max}`)
}
