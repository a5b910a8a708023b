import { z } from 'zod'

// A lone surrogate has no UTF-8: it would be stored as something other than what was sent.
const text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine(value => value.isWellFormed(), 'Invalid text: expected well-formed Unicode')

/** An id that a caller chooses: 1 to 128 characters. */
export const idField = text(128)
/** 1 to 200 characters after trimming. */
export const nameField = z.string().trim().pipe(text(200))
/** 1 to 200 characters after trimming. */
export const courseField = z.string().trim().pipe(text(200))
/** A whole number of cents from 0 to 2^53 - 1: the largest that a JSON number holds exactly. */
export const centsField = z.int().min(0)
/** A whole number of cents from 1 to 2^53 - 1. */
export const amountField = z.int().min(1)
/** The levels that a piece of work ran at, its own first. */
export const levelsField = z.array(z.int().min(0))
