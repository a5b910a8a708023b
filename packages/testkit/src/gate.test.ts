import { expect, test } from 'vitest'
import { gate } from './gate.ts'

test('everybody who waits is let through when the gate opens', async () => {
  const door = gate()
  const passed = Promise.all([door.wait(), door.wait()])
  expect(door.isOpen).toBe(false)
  door.open()
  await passed
  expect(door.isOpen).toBe(true)
})

test('who comes after the opening does not wait', async () => {
  const door = gate()
  door.open()
  door.open()
  await door.wait(0)
})

test('a gate that nobody opens ends the wait with a typed error', async () => {
  await expect(gate().wait(1)).rejects.toMatchObject({ code: 'WAIT_TIMEOUT' })
})
