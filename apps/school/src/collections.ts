import { type MongoDatasource, mongoDatasource } from '@strata/mongo'

export interface Student {
  readonly _id: string
  readonly name: string
  /** One entry an enrolment, so that a repeated step finds its own and a cancelled one takes only its own away. */
  readonly enrolments: readonly { readonly id: string; readonly course: string }[]
  /** Enrolments that were cancelled: a step of theirs that comes late must not bring the course back. */
  readonly cancelled?: readonly string[]
}

export interface Account {
  readonly _id: string
  /** With what transfers under way have taken or brought. */
  readonly balanceCents: number
  /** Of transfers under way; the engine's. */
  readonly pendingTransactions?: readonly unknown[]
}

export interface Enrolment {
  readonly _id: string
  readonly studentId: string
  readonly course: string
  readonly feeCents: number
  /** `cancelled` keeps the id taken, so that a commit in doubt cannot make the enrolment appear later. */
  readonly state: 'enrolled' | 'cancelled'
}

export interface Charge {
  /** The enrolment's id: one charge each. */
  readonly _id: string
  readonly accountId: string
  readonly feeCents: number
  /** `void`: cancelled before it was charged. */
  readonly state: 'charged' | 'refunded' | 'void'
}

export interface Audit {
  readonly _id: string
  readonly studentId: string
  readonly what: string
  readonly at: Date
}

export interface Welcome {
  readonly _id: string
  readonly enrolmentId: string
  readonly studentId: string
  readonly text: string
}

export interface DatasourceSettings {
  readonly mongoUrl: string
  /** Connections a level. */
  readonly poolMax: number
  /** The longest wait for one, in milliseconds. */
  readonly poolTimeoutMs: number
}

const names = ['students', 'accounts', 'enrolments', 'charges', 'audits', 'welcomes'] as const

/** The school's database and its collections; each is bound to the level and transaction of the calling code. */
export function schoolCollections({ mongoUrl, poolMax, poolTimeoutMs }: DatasourceSettings) {
  const datasource = mongoDatasource({
    name: 'school',
    url: mongoUrl,
    pool: { max: poolMax, timeoutMs: poolTimeoutMs },
  })
  return {
    datasource,
    students: datasource.collection<Student>('students'),
    accounts: datasource.collection<Account>('accounts'),
    enrolments: datasource.collection<Enrolment>('enrolments'),
    charges: datasource.collection<Charge>('charges'),
    audits: datasource.collection<Audit>('audits'),
    welcomes: datasource.collection<Welcome>('welcomes'),
  }
}

export type Collections = ReturnType<typeof schoolCollections>

/**
 * Creates the collections that are missing. At start, because one that came into being inside a transaction would make
 * every transaction beside it fail and repeat.
 */
export async function createCollections(datasource: MongoDatasource): Promise<void> {
  await Promise.all(names.map(name => createCollection(datasource, name)))
}

const namespaceExists = 48

async function createCollection({ service }: MongoDatasource, name: string): Promise<void> {
  try {
    await service.createCollection(name)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === namespaceExists)) throw error
  }
}
