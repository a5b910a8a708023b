import { entriesField } from './step-statement.ts'

/**
 * A guard: the field has at least this much without what transactions under way have added to it, since that may be taken back. What
 * they have taken is gone already.
 */
export function atLeast(field: string, amount: number): Readonly<Record<string, unknown>> {
  const added = { $ifNull: [`$${entriesField}.delta.${field}`, []] }
  const credits = { $sum: { $map: { input: added, in: { $max: [0, '$$this'] } } } }
  return { [field]: { $type: 'number' }, $expr: { $gte: [{ $subtract: [`$${field}`, credits] }, amount] } }
}
