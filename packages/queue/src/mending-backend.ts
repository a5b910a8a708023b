import { type BackendFactory, createRedisBackend, type RedisQueueBackend } from 'bullmq'
import { kept } from './kept.ts'
import { faultField } from './unreadable.ts'

/** BullMQ's scripts that hand out the next job's record, as a list of fields and values. */
const handOut = new Set(['moveToActive', 'moveToFinished', 'moveToDelayed'])

/** Far above what a caller of ours writes: to parse more would hold up everything else here. */
const lengthMax = 1_048_576

/** What BullMQ parses as it takes a job, and what stands there instead where it cannot be parsed. */
const parsed = new Map([
  ['opts', { isGood: isObject, instead: JSON.stringify({ removeOnFail: kept }) }],
  ['progress', { isGood: () => true, instead: '0' }],
  ['parent', { isGood: isObject, instead: '' }],
])

type Note = (id: string, fault: string | undefined) => void

/**
 * BullMQ's backend, but a job that it cannot parse is handed out like any other, with a note of what is wrong. BullMQ would throw
 * where it takes the job, also as it ends the job before: the one job would stay active and come back for ever as stalled, and the
 * other would count as failed.
 *
 * @param note told the id of the job and what is wrong, or that nothing is, before the job is handed out
 */
export function mendingBackend(note: Note): BackendFactory<RedisQueueBackend> {
  return (...args) => {
    const backend = createRedisBackend(...args)
    const send = backend.execCommand.bind(backend)
    backend.execCommand = (client, command, given) => {
      const answer: unknown = send(client, command, given)
      return handOut.has(command) ? Promise.resolve(answer).then(found => mend(found, note)) : answer
    }
    return backend
  }
}

/** Exported for its test. */
export function mend(answer: unknown, note: Note): unknown {
  const [fields, id] = Array.isArray(answer) ? answer : []
  if (!Array.isArray(fields)) return answer
  // One that was handed out before may never have become a job here: what was wrong with it then need not be now.
  note(String(id), undefined)
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const field = String(fields[at])
    if (field === faultField) note(String(id), `it was refused before: ${String(fields[at + 1])}`)
    const rule = parsed.get(field)
    if (!rule || canParse(fields[at + 1], rule.isGood)) continue
    note(String(id), `${field} is not JSON, or not what it has to be`)
    fields[at + 1] = rule.instead
  }
  return answer
}

/** An empty field is absent to BullMQ. */
function canParse(text: unknown, isGood: (value: unknown) => boolean): boolean {
  if (text === '') return true
  try {
    return String(text).length <= lengthMax && isGood(JSON.parse(String(text)))
  } catch {
    return false
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
