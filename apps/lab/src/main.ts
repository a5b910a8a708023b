import { runProgram } from './cli/main-program.ts'

// Ends by itself within this time of a signal, or of the loss of its parent, or is ended: what it started ends with it.
const endMs = 8000

const stop = new AbortController()
const end = () => {
  stop.abort()
  setTimeout(() => process.exit(1), endMs).unref()
}
// The parent's channel closes however the parent ends; without a channel, under a plain `node`, it never does.
for (const why of ['SIGINT', 'SIGTERM', 'disconnect'] as const) process.on(why, end)
// With the parent its pipes may go: that must not end this process before it has taken its servers down.
for (const stream of [process.stdout, process.stderr]) stream.on('error', end)
await runProgram(process.argv.slice(2), {
  out: text => void process.stdout.write(text),
  err: text => void process.stderr.write(text),
  exitCode: code => {
    process.exitCode = code
  },
  signal: stop.signal,
})
// Nothing of use is left to run; a socket that still closes must not keep the shell waiting.
process.stdout.write('', () => process.exit())
