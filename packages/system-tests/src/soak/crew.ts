import { CrewMember } from './crew-member.ts'
import type { Finding } from './judge.ts'
import type { LoadTotals, Progress } from './load.ts'
import type { Place } from './messages.ts'

/** The load's clock stands while it rests, and the last calls have their deadlines: a busy machine may take this much. */
const longestMs = (ms: number) => 2 * ms + 90_000

export interface Look {
  readonly progress: Progress
  readonly values: Readonly<Record<string, number>>
}

/** The processes of a soak: one caller and its workers. */
export class Crew implements AsyncDisposable {
  readonly #place: Place
  readonly #caller: CrewMember
  readonly #workers: readonly CrewMember[]
  readonly #stack: AsyncDisposableStack

  private constructor(place: Place, members: readonly [CrewMember, ...CrewMember[]], stack: AsyncDisposableStack) {
    const [caller, ...workers] = members
    this.#place = place
    this.#caller = caller
    this.#workers = workers
    this.#stack = stack
  }

  static async open(place: Place): Promise<Crew> {
    await using stack = new AsyncDisposableStack()
    const workers: CrewMember[] = []
    for (let number = 1; number <= place.settings.workers; number += 1) {
      workers.push(stack.use(await CrewMember.open(`worker ${number}`, 'worker', place)))
    }
    const caller = stack.use(await CrewMember.open('caller', 'caller', place))
    return new Crew(place, [caller, ...workers], stack.move())
  }

  async load(): Promise<LoadTotals> {
    const { warmUpMs, spanMs } = this.#place.settings
    return (await this.#caller.load(longestMs(warmUpMs + spanMs))).totals
  }

  /** What each process holds while no call waits, by `process.quantity`, and how far the load is; `others` looks too. */
  async look(others: () => Promise<Record<string, number>>): Promise<Look> {
    const { progress } = await this.#caller.rest()
    const [values, more] = await Promise.all([this.#values(), others()])
    await this.#caller.resume()
    return { progress, values: { ...values, ...more } }
  }

  /** The caller first, then the workers one after the other: nobody loses whoever serves it. */
  async stop(): Promise<Finding[]> {
    const findings: Finding[] = []
    for (const member of this.#members) findings.push(await stopInOrder(member))
    return findings
  }

  /** What the processes said, for a soak that failed. */
  stderr(): string {
    return this.#members.map(member => `--- ${member.name}\n${member.stderr()}`).join('\n')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  async #values(): Promise<Record<string, number>> {
    const looks = await Promise.all(
      this.#members.map(async member => ({ name: member.name, ...(await member.look()) })),
    )
    const values = looks.flatMap(({ name, figures }) =>
      Object.entries(figures).map(([quantity, value]): [string, number] => [`${name}.${quantity}`, value]),
    )
    return Object.fromEntries(values)
  }

  get #members(): readonly CrewMember[] {
    return [this.#caller, ...this.#workers]
  }
}

async function stopInOrder(member: CrewMember): Promise<Finding> {
  const { busy } = await member.look()
  const end = await member.stop()
  const got = end === undefined ? 'still there' : `ended with ${end.signal ?? end.code}`
  const what = `${member.name} when it is stopped`
  return {
    what,
    got: `${busy} at work, ${got}`,
    expected: '0 at work, ended with 0',
    ok: busy === 0 && end?.code === 0,
  }
}
