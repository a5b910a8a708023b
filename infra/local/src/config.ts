/** What the local start reads itself; everything else goes to the apps as it is, and they judge it. */
export interface LocalConfig {
  readonly host: string
  /** Undefined when PORT is not a port: the API process says so better. */
  readonly port: number | undefined
  readonly workers: number
}

/** Exit code 2, like the apps' own. */
export class SettingInvalid extends Error {}

const WORKERS_MAX = 64

/** @throws SettingInvalid naming the variable, what was got and what is expected. */
export function readConfig(env: Readonly<Record<string, string | undefined>>): LocalConfig {
  const { HOST = '127.0.0.1', PORT = '3000', WORKERS = '1' } = env
  const workers = /^\d{1,3}$/.test(WORKERS) ? Number(WORKERS) : 0
  if (workers < 1 || workers > WORKERS_MAX) {
    const expected = `a whole number of worker processes from 1 to ${WORKERS_MAX}`
    throw new SettingInvalid(`SETTING_INVALID: WORKERS is ${JSON.stringify(WORKERS)}, expected ${expected}`)
  }
  const port = /^\d{1,5}$/.test(PORT) && Number(PORT) <= 65_535 ? Number(PORT) : undefined
  return { host: HOST, port, workers }
}
