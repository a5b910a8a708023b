import { createHash } from 'node:crypto'

/** The same for equal requests, in whatever order their properties come. */
export function requestHash(request: unknown): string {
  const text = JSON.stringify(request, (_, value: unknown) => (isPlain(value) ? sorted(value) : value))
  return createHash('sha256')
    .update(text ?? '')
    .digest('base64url')
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const sorted = (value: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(value).sort(([one], [two]) => (one < two ? -1 : 1)))
