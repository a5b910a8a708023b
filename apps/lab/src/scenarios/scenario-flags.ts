/** A flag that one scenario has beyond those of all. */
export type ScenarioFlag =
  | { readonly about: string; readonly default: number; readonly min: number; readonly max: number }
  | { readonly about: string; readonly default: string; readonly choices: readonly string[] }

/** By name in the settings, `killEveryMs` for `--kill-every-ms`. */
export type ScenarioFlags = Readonly<Record<string, ScenarioFlag>>

/** `killEveryMs` as `--kill-every-ms`. */
export const flagOf = (name: string): string => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
