import { type CommandFault, gate, startCommandProxy, until } from '@strata/testkit'
import { describe, expect, inject, it } from 'vitest'
import { type Harness, startHarness } from './harness.ts'

interface Counter {
  _id: string
  n: number
}

const refusal = { ok: 0, code: 13, codeName: 'Unauthorized', errmsg: 'forged' }

/** A store whose commands of one name meet these faults one after the other, and then none. */
async function breaking(url: string, name: string) {
  const faults: CommandFault[] = []
  const proxy = await startCommandProxy(url, command => (command.name === name ? faults.shift() : undefined))
  const harness = await startHarness({ url: proxy.url, context: { report: () => {} } })
  const outside = harness.plain.db(harness.database).collection<Counter>('counters')
  await outside.insertMany(['a', 'b'].map(_id => ({ _id, n: 0 })))
  const raise = (_id: string) => harness.store.collection<Counter>('counters').updateOne({ _id }, { $inc: { n: 1 } })
  const end = async () => {
    await harness[Symbol.asyncDispose]()
    await proxy.stop()
  }
  return { ...harness, faults, raise, outside, [Symbol.asyncDispose]: end }
}

const begin = ({ db }: Pick<Harness, 'db'>, body: () => Promise<unknown>, deadlineMs = 5000) =>
  db.run(() => db.transaction.begin(body, { deadlineMs }))

describe.each(['mongoUrl', 'mongoLbUrl'] as const)('on %s', key => {
  it.each([
    ['for good', refusal],
    ['without a label', { ...refusal, code: 91 }],
  ])(
    'a commit that was done is not told as rolled back, nor done again, when its second try is refused %s',
    async (_, document) => {
      await using lab = await breaking(inject(key), 'commitTransaction')
      lab.faults.push({ kind: 'cut-after' }, { kind: 'replace-reply', document })
      await begin(lab, () => lab.raise('a'))
      expect(await lab.outside.findOne({ _id: 'a' })).toEqual({ _id: 'a', n: 1 })
    },
  )

  it('a commit is asked for on another connection after its own was the second to break', async () => {
    await using lab = await breaking(inject(key), 'commitTransaction')
    lab.faults.push({ kind: 'cut-after' })
    const [isOpen, isFirstOver] = [gate(), gate()]
    const second = begin(lab, async () => {
      await lab.raise('b')
      isOpen.open()
      await isFirstOver.wait()
      lab.faults.push({ kind: 'cut-after' })
    })
    await isOpen.wait()
    await begin(lab, () => lab.raise('a'))
    isFirstOver.open()
    await second
    expect(await lab.outside.find().toArray()).toEqual(['a', 'b'].map(_id => ({ _id, n: 1 })))
  })

  it('an abort that is lost on its way leaves no document locked', async () => {
    await using lab = await breaking(inject(key), 'abortTransaction')
    lab.faults.push({ kind: 'cut-before' }, { kind: 'cut-before' })
    const refused = begin(lab, async () => {
      await lab.raise('a')
      throw new Error('refused')
    })
    await expect(refused).rejects.toThrow('refused')
    const write = () => lab.outside.updateOne({ _id: 'a' }, { $inc: { n: 10 } }, { maxTimeMS: 200 })
    await until(write, { deadlineMs: 10_000, message: 'the document to be free' })
    expect(await lab.outside.findOne({ _id: 'a' })).toEqual({ _id: 'a', n: 10 })
  })
})
