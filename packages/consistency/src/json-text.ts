/** What a value is as JSON text, or why it would not come back as it is. */
export type JsonText = { readonly text: string; readonly fault?: undefined } | { readonly fault: string }

/**
 * Writes a value as JSON, if what is read back equals it: an object property that is `undefined` is absent then, and -0 is 0. One
 * pass, because this is done in the transaction.
 */
export function jsonText(value: unknown, bytesMax: number): JsonText {
  let fault: string | undefined
  try {
    const text = JSON.stringify(value, function (this: unknown, key: string, converted: unknown) {
      const holder = this as Readonly<Record<string, unknown>>
      fault ??= faultOf(holder[key], { converted, isItem: Array.isArray(this), key })
      return converted
    })
    if (fault !== undefined) return { fault }
    const bytes = Buffer.byteLength(text)
    return bytes > bytesMax ? { fault: `has ${bytes} bytes of JSON, at most ${bytesMax} are kept` } : { text }
  } catch (error) {
    return { fault: `cannot be written as JSON: ${error instanceof Error ? error.message : String(error)}` }
  }
}

interface At {
  /** What `toJSON` made of it. */
  readonly converted: unknown
  readonly isItem: boolean
  readonly key: string
}

function faultOf(value: unknown, { converted, isItem, key }: At): string | undefined {
  const at = key === '' ? '' : ` at ${key.slice(0, 64)}`
  if (value === undefined) return isItem || key === '' ? `is undefined${at}` : undefined
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : `is ${value}${at}`
  if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint') {
    return `is a ${typeof value}${at}`
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const prototype: unknown = Object.getPrototypeOf(value)
  if (converted !== value || (prototype !== Object.prototype && prototype !== null)) return `is no plain object${at}`
  return undefined
}

/** Reads what {@link jsonText} wrote; undefined for what it cannot have written. */
export function readJson(text: unknown): { readonly value: unknown } | undefined {
  if (typeof text !== 'string') return undefined
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}
