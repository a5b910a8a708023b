/** Arguments by name; `true` stands for one that takes no value. */
export type Arguments = Readonly<Record<string, string | true>>

/**
 * A server's command line: our arguments, and the caller's instead of ours where both name the same one (mongod
 * refuses an argument that comes twice).
 */
export function withDefaults(defaults: Arguments, args: readonly string[]): string[] {
  const named = new Set(args.map(arg => arg.split('=')[0]))
  const ours = Object.entries(defaults).filter(([name]) => !named.has(name))
  return [...ours.flatMap(([name, value]) => (value === true ? [name] : [name, value])), ...args]
}
