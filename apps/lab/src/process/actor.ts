import type { ToActor } from './messages.ts'
import { Performer } from './performer.ts'

// One process of a run. It is told what to do over the channel that it was started with, and ends when that closes: with the
// lab gone, nobody would end it.

const performer = new Performer(message => void process.send?.(message, () => {}))
process.on('message', message => performer.take(message as ToActor))
process.on('disconnect', () => process.exit())
// A hang's leftovers reject when the process is told to stop; a crash would hide what the run has shown.
process.on('unhandledRejection', reason => process.stderr.write(`Unhandled rejection: ${String(reason)}\n`))
