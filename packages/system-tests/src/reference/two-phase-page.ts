import {
  outcomes,
  type Protocol,
  protocol,
  resolutions,
  type StepRule,
  type TransitionRule,
  transactionStates,
} from '@strata/consistency/two-phase-commit'

/** Prints the reference page of two-phase commit from the table that the engine runs, so that the two cannot differ. */
export function printTwoPhase(rules: Protocol = protocol): string {
  const { transitions, steps, work, tombstones } = rules
  return [
    preamble,
    '## States',
    table(
      ['state', 'what has become of it', 'its steps', 'once confirmed', 'once refused', 'a person may resolve it to'],
      transactionStates.map(state => {
        const of = work[state]
        const ends = resolutions[state]?.join(', ') ?? 'ended'
        return [code(state), outcomes[state], list(of?.steps), code(of?.confirmed), code(of?.refused), ends]
      }),
    ),
    '## Transitions',
    transitionWords,
    table(
      ['transition', 'from', 'to', 'token', 'needs', 'what it is'],
      Object.entries(transitions).map(([name, rule]) => [
        code(name),
        rule.from.length > 0 ? list(rule.from) : 'nothing',
        rule.to === 'same' ? 'the same' : rule.to === 'given' ? 'an end' : code(rule.to),
        rule.token,
        needsOf(rule),
        rule.about,
      ]),
    ),
    '## Steps',
    stepWords,
    table(
      ['step', 'only if', 'its effect', 'entry', 'tombstone', 'what it is'],
      Object.entries(steps).map(([name, rule]) => [
        code(name),
        conditionsOf(rule),
        rule.effect,
        rule.entry,
        rule.tombstone,
        rule.about,
      ]),
    ),
    '## Tombstones',
    tombstones.outlivesWrites ? lasting : 'A tombstone outlives nothing.',
    ...(tombstones.isBriefWhenNothingIsUnderWay ? [brief] : []),
  ]
    .join('\n\n')
    .concat('\n')
}

const preamble = `# Two-phase commit

What \`@strata/consistency/two-phase-commit\` does in each state, printed from the table that its engine runs and that the model check
explores (\`npm test -- --project unit -u\`).`

const transitionWords = `Each is one write of the transaction's record, which compares its version, its state and what is said here. _Token_: \`checked\`, only
the holder of the claim, whose token is the record's; \`raised\`, anybody, who has the claim from then on, with a lease and a higher
token; \`none\`, anybody, and nobody has a claim by it.`

const stepWords = `Each is one write of one participant's document, and what it depends on is in that write's filter. Of two steps of a state the first
that matches is made.`

const lasting = `A tombstone is kept until no \`apply\` that was sent under any claim can be written any more: the end of the last lease under which one
could be sent, and \`clockSkewMs\` beyond it. A step is written within the lease: it is refused once half of it is over, and the server
gives it up after as long as the other half.`

const brief = `Where nothing can be under way it is kept to the next write that prunes: where there has been one claim only, and its one \`apply\`, which
the driver does not send again by itself, was answered, as written or as refused.`

const needs = {
  nothing: '',
  'every-step-confirmed': 'every step confirmed',
  'a-step-refused': 'a step refused',
  'a-person': "a person's word",
} as const

function needsOf({ needs: what, needsFreeLease, waitsForMissing }: TransitionRule): string {
  const all = [
    needs[what],
    needsFreeLease ? 'no lease runs' : '',
    waitsForMissing ? 'where a participant is missing: no write can come late' : '',
  ]
  return all.filter(each => each !== '').join('; ') || 'nothing'
}

function conditionsOf({ needsEntry, refusedByTombstone, checksGuard, checksDeadline }: StepRule): string {
  const all = [
    needsEntry ? 'it has an entry' : 'it has no entry',
    refusedByTombstone ? 'it has no tombstone' : '',
    checksGuard ? 'its guard holds' : '',
    checksDeadline ? "before the claim's deadline, on the participant's clock" : '',
  ]
  return all.filter(each => each !== '').join('; ')
}

const code = (name: string | undefined) => (name === undefined ? '-' : `\`${name}\``)
const list = (names: readonly string[] = []) => names.map(code).join(', ') || '-'

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [row(columns), row(columns.map(() => '---')), ...rows.map(row)].join('\n')
}
