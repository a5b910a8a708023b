import type { RunningSchool } from './running-school.ts'

/** Makes whoever would charge the account wait. The result lets go of it. */
export async function holdAccount({ database }: RunningSchool, id: string) {
  const session = database.client.startSession()
  session.startTransaction()
  const accounts = database.collection<{ _id: string }>('accounts')
  // A change: the server takes an increment by 0 for none, and holds nothing.
  await accounts.updateOne({ _id: id }, { $set: { held: true } }, { session })
  return async () => {
    await session.abortTransaction()
    await session.endSession()
  }
}
