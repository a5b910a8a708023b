/** Arguments by name; `true` stands for one that takes no value, a list for one that may come several times. */
export type Arguments = Readonly<Record<string, string | true | readonly string[]>>

/**
 * A server's command line: our arguments, and the caller's instead of ours where both name the same one (mongod
 * refuses an argument that comes twice). Of those that may come several times, the caller's come beside ours.
 */
export function withDefaults(defaults: Arguments, args: readonly string[]): string[] {
  const named = new Set(args.map(arg => arg.split('=')[0]))
  const ours = Object.entries(defaults).filter(([name, value]) => Array.isArray(value) || !named.has(name))
  return [...ours.flatMap(([name, value]) => spell(name, value)), ...args]
}

function spell(name: string, value: string | true | readonly string[]): string[] {
  if (value === true) return [name]
  return typeof value === 'string' ? [name, value] : value.flatMap(each => [name, each])
}
