import type { StandardSchemaV1 } from '@standard-schema/spec'
import { findJsonFault } from './json.ts'

export type Schema = StandardSchemaV1

/** One thing wrong with a value, and where. */
export interface SchemaIssue {
  /** As in `$.items[2].price`. */
  readonly path: string
  readonly message: string
}

export type Checked<T> =
  | { readonly value: T; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** How many issues an error carries: the first ones tell what to mend. */
const issuesMax = 20

/** Reads a value by any Standard Schema: what comes back is the schema's output. */
export async function read<S extends Schema>(
  schema: S,
  value: unknown,
): Promise<Checked<StandardSchemaV1.InferOutput<S>>> {
  const result = await validate(schema, value)
  if (result.issues) return { issues: result.issues.slice(0, issuesMax).map(issue) }
  return { value: result.value as StandardSchemaV1.InferOutput<S> }
}

/** What a schema's own code throws says that the value is not what that code expects: an issue, as it will be the next time. */
async function validate(schema: Schema, value: unknown): Promise<StandardSchemaV1.Result<unknown>> {
  try {
    const validated = schema['~standard'].validate(value)
    return validated instanceof Promise ? await validated : validated
  } catch (error) {
    return { issues: [{ message: `Schema threw ${error instanceof Error ? error.message : String(error)}` }] }
  }
}

/**
 * Checks a value that is about to travel: it has to be what the schema takes, and JSON. It travels as it is, so that the
 * schema's transforms happen once, at the reader.
 */
export async function checkOutgoing(schema: Schema, value: unknown): Promise<readonly SchemaIssue[]> {
  const fault = findJsonFault(value)
  if (fault) return [{ path: fault.path, message: `Is ${fault.got}, expected a JSON value` }]
  const checked = await read(schema, value)
  return checked.issues ?? []
}

export const printIssues = (issues: readonly SchemaIssue[]) =>
  issues
    .slice(0, 3)
    .map(({ path, message }) => `${path}: ${message}`)
    .join('; ')

function issue({ message, path = [] }: StandardSchemaV1.Issue): SchemaIssue {
  const keys = path.map(part => (typeof part === 'object' ? part.key : part))
  return { path: keys.reduce<string>(printKey, '$'), message }
}

function printKey(path: string, key: PropertyKey): string {
  return typeof key === 'number' ? `${path}[${key}]` : `${path}.${String(key)}`
}
