/** Counts by their heading in a table. */
export type Counts = Readonly<Record<string, number>>

/** What rounds have shown, added up by what was done in them: a row each, all with the same headings. */
export class Tally {
  readonly #rows = new Map<string, Counts>()

  add(row: string, counts: Counts): void {
    const before = this.#rows.get(row) ?? {}
    const sums = Object.entries(counts).map(([heading, count]) => [heading, (before[heading] ?? 0) + count])
    this.#rows.set(row, Object.fromEntries(sums))
  }

  /** A table in Markdown, with the rows that there are of these. */
  print(rows: readonly string[]): string {
    const found = rows.flatMap(row => {
      const counts = this.#rows.get(row)
      return counts ? [[row, counts] as const] : []
    })
    const head = ['fault', ...Object.keys(found[0]?.[1] ?? {})]
    const cells = found.map(([row, counts]) => [`\`${row}\``, ...Object.values(counts)])
    return [head, head.map(() => '---'), ...cells].map(line => `| ${line.join(' | ')} |`).join('\n')
  }
}

/** How many there are of each kind, in the order of `kinds`. */
export function countKinds(kinds: readonly string[], found: readonly { readonly kind: string }[]): Counts {
  return Object.fromEntries(kinds.map(kind => [kind, found.filter(each => each.kind === kind).length]))
}
