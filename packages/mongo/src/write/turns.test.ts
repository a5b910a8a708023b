import { expect, it } from 'vitest'
import { type EndTurn, type TurnKind, Turns } from './turns.ts'

const enoughMs = 10_000

/** Takes turns of one document and notes who has had one, in which order. */
function recorder(turns: Turns) {
  const had: string[] = []
  const ends = new Map<string, EndTurn | undefined>()
  const take = (name: string, kind: TurnKind) => {
    const enter = (end: EndTurn | undefined) => {
      had.push(name)
      ends.set(name, end)
    }
    const turn = turns.take('a', kind, enoughMs)
    if (turn instanceof Promise) void turn.then(enter)
    else enter(turn)
  }
  const end = async (name: string) => {
    ends.get(name)?.()
    await Promise.resolve()
  }
  return { had, take, end }
}

it('lets plain writes go together, and one transaction at a time between them', async () => {
  const turns = new Turns()
  const { had, take, end } = recorder(turns)
  take('p1', 'plain')
  take('p2', 'plain')
  take('t1', 'transaction')
  take('t2', 'transaction')
  take('p3', 'plain')
  expect(had).toEqual(['p1', 'p2'])
  await end('p1')
  expect(had).toEqual(['p1', 'p2'])
  await end('p2')
  expect(had).toEqual(['p1', 'p2', 't1'])
  take('p4', 'plain')
  await end('t1')
  expect(had.slice(3)).toEqual(['p3', 'p4'])
  await end('p3')
  await end('p4')
  expect(had.slice(5)).toEqual(['t2'])
  await end('t2')
  expect(turns.size).toBe(0)
})

it('puts a transaction that was rolled back already before those that were not', async () => {
  const { had, take, end } = recorder(new Turns())
  take('t1', 'transaction')
  take('t2', 'transaction')
  take('r1', 'repeated')
  take('r2', 'repeated')
  await end('t1')
  await end('r1')
  await end('r2')
  expect(had).toEqual(['t1', 'r1', 'r2', 't2'])
})

it('gives each document its own turns', () => {
  const turns = new Turns()
  expect(turns.tryTake('a', 'transaction')).toBeTypeOf('function')
  expect(turns.tryTake('b', 'transaction')).toBeTypeOf('function')
  expect(turns.tryTake('a', 'transaction')).toBeUndefined()
  expect(turns.tryTake('a', 'plain')).toBeUndefined()
})

it('counts the end of a turn once', () => {
  const turns = new Turns()
  const first = turns.tryTake('a', 'plain')
  const second = turns.tryTake('a', 'plain')
  first?.()
  first?.()
  expect(turns.tryTake('a', 'transaction')).toBeUndefined()
  second?.()
  expect(turns.size).toBe(0)
})

it('waits behind nobody who does not get on, and takes turns again once that one has ended', async () => {
  const turns = new Turns()
  const stalled = turns.tryTake('a', 'transaction')
  expect(await turns.take('a', 'transaction', enoughMs)).toBeUndefined()
  // Known by now: the next does not wait at all.
  expect(turns.take('a', 'plain', enoughMs)).toBeUndefined()
  stalled?.()
  expect(turns.size).toBe(0)
  expect(turns.take('a', 'transaction', enoughMs)).toBeTypeOf('function')
})

it('waits no longer than it may, however fast the others get on', async () => {
  const turns = new Turns()
  const { had, take, end } = recorder(turns)
  const names = Array.from({ length: 200 }, (_, index) => `t${index}`)
  for (const name of names) take(name, 'transaction')
  const impatient = turns.take('a', 'transaction', 1)
  const moving = setInterval(() => void end(had.at(-1) ?? ''), 1)
  try {
    expect(await impatient).toBeUndefined()
    expect(had.length).toBeLessThan(names.length)
  } finally {
    clearInterval(moving)
  }
})
