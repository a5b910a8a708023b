import type { RunningSchool } from './running-school.ts'

/** Makes whoever would charge the account wait. The result lets go of it. */
export async function holdAccount({ database }: RunningSchool, id: string) {
  const session = database.client.startSession()
  session.startTransaction()
  const accounts = database.collection<{ _id: string }>('accounts')
  await accounts.updateOne({ _id: id }, { $inc: { balanceCents: 0 } }, { session })
  return async () => {
    await session.abortTransaction()
    await session.endSession()
  }
}
