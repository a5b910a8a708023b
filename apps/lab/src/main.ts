import { runProgram } from './cli/main-program.ts'

// Ends by itself within this time of a signal, or is ended: what it started ends with it.
const endMs = 8000

const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    stop.abort()
    setTimeout(() => process.exit(1), endMs).unref()
  })
}
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
