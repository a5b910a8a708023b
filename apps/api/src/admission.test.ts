import { expect, test } from 'vitest'
import { createAdmission } from './admission.ts'

test('refuses at once what is over the limit, and takes more as places come free', async () => {
  const admission = createAdmission(1)
  const held = Promise.withResolvers<string>()
  const first = admission.admit(() => held.promise)
  await expect(admission.admit(async () => 'second')).rejects.toMatchObject({
    code: 'ADMISSION_FULL',
    outcome: 'not-applied',
    transient: true,
  })
  held.resolve('first')
  await expect(first).resolves.toBe('first')
  await expect(admission.admit(async () => 'third')).resolves.toBe('third')
})

test('work that fails gives its place back', async () => {
  const admission = createAdmission(1)
  await expect(admission.admit(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  await expect(admission.admit(async () => 'next')).resolves.toBe('next')
})
