import { TestkitError } from '../errors.ts'
import { RungUnavailable } from './server-kind.ts'

/** The port was taken between choosing and using it: worth another try with another port. */
export class PortTaken extends Error {}

interface Sign {
  readonly pattern: RegExp
  readonly said: string
  readonly cure: string
}

// What mongod, valkey-server and redis-server write before they give up, most telling first.
const FOLDER_SIGNS: readonly Sign[] = [
  { pattern: /No space left on device|Disk quota exceeded/i, said: 'the disk is full', cure: 'free some space' },
  {
    pattern: /Read-only file system|Attempted to create a lock file on a read-only/i,
    said: 'its file system is read-only',
    cure: 'mount it writable',
  },
  {
    pattern: /Permission denied/i,
    said: 'the server may not write there',
    cure: 'make folder and files writable for this user',
  },
  {
    pattern:
      /UPGRADE PROBLEM|unsupported WiredTiger file version|Wrong mongod version|featureCompatibilityVersion|Can't handle RDB format/i,
    said: 'its data are of another version of the server',
    cure: 'start the version that wrote them, or remove the folder to begin anew',
  },
  {
    pattern:
      /corrupt|WT_PANIC|WT_TRY_SALVAGE|WT_ERROR|Detected unclean shutdown.*repair|Bad file format|Unexpected end of file|Invalid argument.*turtle|Fatal error loading the DB|Wrong signature/i,
    said: 'its data are damaged',
    cure: 'remove the folder to begin anew, or bring the data back from a copy',
  },
]

/**
 * Says why a server ended while it was starting: something wrong with its data folder is an error for the user, who
 * would meet it on every rung; a taken port is another try; anything else is a program that does not run here.
 */
export function diagnose(wholeLog: string, folder: string, file: string): Error {
  const log = tellingLines(wholeLog)
  if (/Address already in use/i.test(log)) return new PortTaken()
  const sign = FOLDER_SIGNS.find(({ pattern }) => pattern.test(log))
  if (sign !== undefined) {
    const text = `The data folder ${folder} cannot be used: ${sign.said}; ${sign.cure}, or use another folder`
    return new TestkitError('SERVERS_DATA_FOLDER', text, { details: { folder, log: log.slice(-2000) } })
  }
  const library = /error while loading shared libraries: ([^:]+)/.exec(log)?.[1]
  if (library !== undefined) {
    return new RungUnavailable(`${file} needs the library ${library}`, `install ${library}`)
  }
  const last = log.trim().split('\n').at(-1)?.slice(0, 300) ?? ''
  return new RungUnavailable(`${file} ended while starting: ${last || 'it said nothing'}`, `run ${file} by hand`)
}

/** The lines of errors: mongod's everyday lines mention corruption and versions too, as what it has not found. */
function tellingLines(log: string): string {
  const isEveryday = (line: string): boolean => /^\{.*"s":\s*"[DIW]/.test(line)
  return log
    .split('\n')
    .filter(line => !isEveryday(line))
    .join('\n')
}
