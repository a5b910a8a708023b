import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { type Db, MongoClient } from 'mongodb'
import { onTestFinished, type TestContext } from 'vitest'
import { TestkitError } from '../src/index.ts'

/** A folder of its own for one test, removed with it. */
export function scratchFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'strata-test-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 3 }))
  return path
}

/** Lines a start reports, for a test to read. */
export function reportLines(): { lines: string[]; report: (line: string) => void } {
  const lines: string[] = []
  return { lines, report: line => lines.push(line) }
}

/** This process's environment without URLs and forced rungs, and with `more`. */
export function cleanEnv(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const { MONGO_URL: _, REDIS_URL: __, STRATA_MONGO: ___, STRATA_REDIS: ____, ...env } = process.env
  return { ...env, ...more }
}

/** Runs `body` on a database of that server. */
export async function withMongo<T>(url: string, body: (db: Db, client: MongoClient) => Promise<T>): Promise<T> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: 10_000 })
  try {
    return await body(client.db('testkit'), client)
  } finally {
    await client.close()
  }
}

/** Runs `body` on a connection to that server. */
export async function withRedis<T>(url: string, body: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url, { maxRetriesPerRequest: 1 })
  try {
    return await body(redis)
  } finally {
    redis.disconnect()
  }
}

/** For the start of servers that must be programs: where none can be had the test is skipped, and says why. */
export function skipWithoutProgram(context: TestContext): (error: unknown) => never {
  return error => {
    if (error instanceof TestkitError && error.code === 'SERVERS_UNAVAILABLE') context.skip(error.message)
    throw error
  }
}
