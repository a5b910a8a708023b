import { type Gate, gate } from '@strata/testkit'
import type { ClientSession, MongoClient } from 'mongodb'

/** A transaction of another program that has written something, and stays open until the gate opens. */
export async function holding(
  plain: MongoClient,
  open: Gate,
  write: (session: ClientSession) => Promise<unknown>,
): Promise<{ readonly ended: Promise<unknown> }> {
  const written = gate()
  const ended = plain.withSession(session =>
    session.withTransaction(async () => {
      await write(session)
      written.open()
      await open.wait()
    }),
  )
  await Promise.race([written.wait(), ended])
  return { ended }
}
