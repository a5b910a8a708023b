import { z } from 'zod'
import { schoolError } from './errors.ts'

/** One line of text a setting: what is expected, as the end of "PORT is "abc", expected …". */
const whole = (range: { min: number; max: number; unit?: string }) => {
  const expected = `a whole number${range.unit ? ` of ${range.unit}` : ''} from ${range.min} to ${range.max}`
  return z
    .string()
    .regex(/^\d{1,15}$/, expected)
    .transform(Number)
    .refine(value => value >= range.min && value <= range.max, expected)
}

const oneOf = <const Values extends readonly [string, ...string[]]>(values: Values, byDefault: Values[number]) =>
  z.enum(values, { error: () => `one of ${values.join(', ')}` }).default(() => byDefault as never)

const serverUrl = (protocols: readonly string[], example: string) => {
  const expected = `a URL such as ${example} (npm start brings a server of its own and sets this)`
  const fits = (value: string) =>
    protocols.some(protocol => value.startsWith(`${protocol}://`) && value.length > protocol.length + 3)
  return z.string({ error: () => expected }).refine(fits, expected)
}

/** Environment variables that more than one process reads; the `config.ts` of each picks from them. */
export const settings = {
  MONGO_URL: serverUrl(['mongodb', 'mongodb+srv'], 'mongodb://127.0.0.1:27017/school?replicaSet=rs0'),
  REDIS_URL: serverUrl(['redis', 'rediss'], 'redis://127.0.0.1:6379'),
  /** Before every key, so that several schools can share one Redis. */
  REDIS_PREFIX: z
    .string()
    .regex(/^[\w-]{1,64}$/, '1 to 64 letters, digits, _ or -')
    .default('school'),
  HOST: z.string().min(1, 'an address to listen on').default('127.0.0.1'),
  POOL_MAX: whole({ min: 1, max: 1000, unit: 'connections' }).default(10),
  POOL_TIMEOUT_MS: whole({ min: 1, max: 600_000, unit: 'milliseconds' }).default(30_000),
  LANE_SLOTS: whole({ min: 1, max: 1000, unit: 'jobs' }).default(10),
  LEVELS_MAX: whole({ min: 1, max: 64 }).default(4),
  ISOLATION: oneOf(['levels', 'none'], 'levels'),
  ADMISSION_MAX: whole({ min: 1, max: 1_000_000, unit: 'requests' }).default(1000),
  /** At most 50 s: a call may be awaited inside a transaction, which MongoDB ends after 60 s. */
  CALL_TIMEOUT_MS: whole({ min: 1, max: 50_000, unit: 'milliseconds' }).default(30_000),
  /** How many processes of a kind ever run at once; not set: not declared. */
  PROCESSES: whole({ min: 1, max: 100_000, unit: 'processes' }).optional(),
  /** How long what runs may go on once the process is told to end; at most 10 minutes. */
  STOP_AFTER_MS: whole({ min: 0, max: 600_000, unit: 'milliseconds' }).default(1500),
  LOG_LEVEL: oneOf(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], 'info'),
}

/** A port to listen on; 0 takes a free one. */
export const port = () => whole({ min: 0, max: 65_535 })

/**
 * Reads the named variables. The error lists every wrong one with what was got and what is expected; passwords in URLs
 * are left out of it. @throws SETTING_INVALID
 */
export function readSettings<Shape extends z.ZodRawShape>(
  shape: Shape,
  env: Readonly<Record<string, string | undefined>>,
): z.output<z.ZodObject<Shape>> {
  const result = z.object(shape).safeParse(env)
  if (result.success) return result.data
  const wrong = new Map(
    result.error.issues.map(issue => {
      const variable = String(issue.path[0])
      return [variable, { variable, got: shown(env[variable]), expected: issue.message }]
    }),
  )
  const text = [...wrong.values()].map(({ variable, got, expected }) => `${variable} is ${got}, expected ${expected}`)
  throw schoolError('SETTING_INVALID', text.join('; '), { details: { wrong: [...wrong.values()] } })
}

function shown(value: string | undefined): string {
  if (value === undefined) return 'not set'
  return JSON.stringify(value.replace(/\/\/[^/@]*@/, '//***@'))
}
