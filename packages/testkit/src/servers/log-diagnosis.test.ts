import { expect, test } from 'vitest'
import { diagnose, PortTaken } from './log-diagnosis.ts'

const folder = '/data/mongo'

test.each([
  ['{"msg":"Failed to write","attr":{"error":"No space left on device"}}', /disk is full; free some space/],
  ['Unable to create/open the lock file: /data/mongod.lock (Permission denied)', /may not write there/],
  ['Failed to write: Read-only file system', /its file system is read-only; mount it writable/],
  [
    '"msg":"Wrong mongod version","attr":{"error":"UPGRADE PROBLEM: Found an invalid featureCompatibilityVersion"}',
    /another version/,
  ],
  ['WiredTiger error -31802 WT_PANIC: WiredTiger library panic', /data are damaged/],
  ['Bad file format reading the append only file appendonly.aof.1.incr.aof', /data are damaged/],
])('%s is about the data folder', (log, expected) => {
  expect(diagnose(log, folder, '/bin/mongod')).toMatchObject({
    code: 'SERVERS_DATA_FOLDER',
    message: expect.stringMatching(expected),
  })
})

test('a taken port is another try', () => {
  expect(diagnose('Failed to bind: Address already in use', folder, '/bin/mongod')).toBeInstanceOf(PortTaken)
})

test('a missing library is named, with what to do', () => {
  const log = '/bin/mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file'
  expect(diagnose(log, folder, '/bin/mongod')).toMatchObject({
    name: 'RungUnavailable',
    message: '/bin/mongod needs the library libcurl.so.4',
    cure: 'install libcurl.so.4',
  })
})

test("a server's everyday lines are no reason", () => {
  const everyday = '{"t":{},"s":"I","c":"REPL","msg":"Setting featureCompatibilityVersion, nothing corrupt"}'
  expect(diagnose(`${everyday}\nIllegal instruction`, folder, '/bin/mongod')).toMatchObject({
    name: 'RungUnavailable',
    message: '/bin/mongod ended while starting: Illegal instruction',
  })
})
