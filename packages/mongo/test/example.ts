import { createDbContext } from '@strata/db-context'
import { mongoDatasource } from '@strata/mongo'

interface Student {
  _id: string
  name: string
}

/** What the README shows; run by the test beside it. */
export async function example(url: string, database: string): Promise<Student | null> {
  // begin
  const school = mongoDatasource({ name: 'school', url, database, pool: { max: 10 } })
  const students = school.collection<Student>('students')
  const db = createDbContext({ datasources: [school] })

  await db.run(async () => {
    await db.transaction.begin(async () => {
      await students.insertOne({ _id: 'ada', name: 'Ada' }) // in the transaction
      await db.switchDbIsolate(() => students.countDocuments()) // outside it, on connections of its own
    })
  })
  const ada = await db.run(() => students.findOne({ _id: 'ada' })) // outside any transaction
  await db.stop()
  // end
  return ada
}
