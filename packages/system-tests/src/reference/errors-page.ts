import type { ErrorSpec } from '@strata/db-context'

type Registry = Readonly<Record<string, ErrorSpec>>

/** Prints the reference page of errors from the registries, so that code and page cannot differ. */
export function printErrors(registries: Readonly<Record<string, Registry>>): string {
  const sections = Object.entries(registries).map(([name, registry]) => `## ${name}\n\n${table(registry)}`)
  return `${preamble}\n\n${sections.join('\n\n')}\n`
}

const preamble = `# Errors

Every error of Strata is a \`StrataError\` with a \`code\`; branch on it with \`hasCode(error, code)\`. \`outcome\` says what became of the
work: \`applied\`, \`not-applied\` or \`unknown\`; a throw site that knows better than the table says so in the error. \`transient\` means that
the same work may succeed when it is tried again as it is. This page is printed from the registries in the code
(\`npm test -- --project unit -u\`).`

function table(registry: Registry): string {
  const rows = Object.entries(registry).map(
    ([code, { outcome, transient, when }]) => `| \`${code}\` | ${outcome} | ${transient ? 'yes' : 'no'} | ${when} |`,
  )
  return ['| code | outcome | transient | when |', '|---|---|---|---|', ...rows].join('\n')
}
