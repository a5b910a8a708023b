import type { RunningSchool } from './running-school.ts'

/** What is there of a payer, as committed. */
export async function stateOf({ database }: RunningSchool, id: string) {
  const accounts = database.collection<{ _id: string; balanceCents: number }>('accounts')
  const charges = database.collection('charges')
  return {
    enrolled: await database.collection('enrolments').countDocuments({ studentId: id, state: 'enrolled' }),
    charged: await charges.countDocuments({ accountId: id, state: 'charged' }),
    balanceCents: (await accounts.findOne({ _id: id }))?.balanceCents,
  }
}
