import { Command, CommanderError } from 'commander'
import { LabError } from '../lab-error.ts'
import { benchCommand } from './bench-command.ts'
import { labCommand } from './lab-command.ts'

/** What the commands have of the process around them. */
export interface Surroundings {
  /** Results only. */
  out(text: string): void
  /** For people, and for what went wrong. */
  err(text: string): void
  exitCode(code: number): void
  /** Aborted when the process is told to end. */
  readonly signal: AbortSignal
}

const usageCodes = ['USAGE', 'SEED_INVALID', 'SERVERS_RUNG_UNKNOWN', 'SERVERS_URL_INVALID']
const usageExit = 2
const failureExit = 1

/** Runs `lab …` or `bench …`. Whatever goes wrong is one line on stderr, with exit 2 where the command line is to blame. */
export async function runProgram(args: readonly string[], around: Surroundings): Promise<void> {
  const program = new Command('strata')
    .description('The lab and the bench')
    .addCommand(labCommand(around))
    .addCommand(benchCommand(around))
  for (const command of [program, ...program.commands]) {
    command
      .exitOverride()
      .showSuggestionAfterError(false)
      .configureOutput({ writeOut: text => around.out(text), writeErr: text => around.err(text) })
  }
  try {
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    around.exitCode(exitOf(error))
    // Commander has already written its own.
    if (!(error instanceof CommanderError)) around.err(`error: ${describe(error)}\n`)
  }
}

function exitOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : usageExit
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return usageCodes.includes(String(code)) ? usageExit : failureExit
}

const describe = (error: unknown): string => {
  if (error instanceof LabError || (error instanceof Error && 'code' in error)) return error.message
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
