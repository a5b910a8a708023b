// Every root command starts here: `exec node infra/run/run.mjs JOB [arguments]`. Plain JavaScript for whatever Node the
// machine has (18 or later): it brings the pinned Node and pnpm, installs the packages, and runs the job with them.
// The scripts in package.json need their `exec`: without it a signal to npm ends the shell and orphans this process.
const major = Number(process.versions.node.split('.')[0])
if (major < 18) {
  process.stderr.write(
    `Strata needs Node 18 or later to set itself up, this is ${process.version}: install a newer one\n`,
  )
  process.exit(1)
}

const { jobs, takeFlags, UsageError } = await import('./jobs.mjs')
const [name = '', ...extra] = process.argv.slice(2)
const job = jobs[name]
if (job === undefined) {
  const list = Object.entries(jobs).map(([key, { about }]) => `  ${key.padEnd(12)} ${about}`)
  process.stderr.write(`Unknown job "${name}"; the jobs are:\n${list.join('\n')}\n`)
  process.exit(2)
}

const { prepare } = await import('./prepare.mjs')
const { run } = await import('./child.mjs')
try {
  const { env, rest } = takeFlags(job.flags ?? {}, extra)
  const tools = await prepare({ install: job.install !== false })
  const [program, ...args] = job.command(rest)
  // A job's stdin stays closed: none of them asks, and a stopped terminal read would hang it.
  const { code } = await run(program === 'node' ? tools.node : program, args, {
    env: { ...job.env, ...tools.env, ...env },
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    limitMs: job.limitMinutes === undefined ? undefined : job.limitMinutes * 60_000,
  })
  process.exitCode = code
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
