import { type BackendFactory, createRedisBackend, type RedisQueueBackend } from 'bullmq'
import { kept } from './kept.ts'

/** BullMQ's scripts that hand out the next job's record, as a list of fields and values. */
const handOut = new Set(['moveToActive', 'moveToFinished', 'moveToDelayed'])

/** Why a field of a record that BullMQ parses as it takes the job cannot be parsed, and what stands there instead. */
const parsed = new Map([
  ['opts', { isGood: isObject, instead: JSON.stringify({ removeOnFail: kept }) }],
  ['progress', { isGood: () => true, instead: '0' }],
  ['parent', { isGood: isObject, instead: '' }],
])

/**
 * BullMQ's backend, but a job that it cannot parse is handed out like any other, with a note of what is wrong. BullMQ would throw
 * where it takes the job, also as it ends the job before: the one job would stay active and come back for ever as stalled, and the
 * other would count as failed.
 *
 * @param note told the id of the job and the field, before the job is handed out
 */
export function mendingBackend(note: (id: string, field: string) => void): BackendFactory<RedisQueueBackend> {
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

function mend(answer: unknown, note: (id: string, field: string) => void): unknown {
  const [fields, id] = Array.isArray(answer) ? answer : []
  if (!Array.isArray(fields)) return answer
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const rule = parsed.get(String(fields[at]))
    if (!rule || canParse(fields[at + 1], rule.isGood)) continue
    note(String(id), String(fields[at]))
    fields[at + 1] = rule.instead
  }
  return answer
}

/** An empty field is absent to BullMQ. */
function canParse(text: unknown, isGood: (value: unknown) => boolean): boolean {
  if (text === '') return true
  try {
    return isGood(JSON.parse(String(text)))
  } catch {
    return false
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
