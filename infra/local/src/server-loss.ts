import type { ServerEnd, Servers } from '@strata/testkit'

/** Calls `fail` when a server that was started here ends by itself. */
export function watchServers({ mongo, redis }: Servers, fail: (error: Error) => void): void {
  void mongo.exited.then(end => fail(new Error(describe('MongoDB', end))))
  void redis.exited.then(end => fail(new Error(describe('Redis', end))))
}

function describe(label: string, { program, pid, code, signal }: ServerEnd): string {
  const which = pid === undefined ? `container of ${program}` : `${program}, pid ${pid}`
  return `${label} (${which}) ended by itself (${signal ?? `exit ${code}`})`
}
