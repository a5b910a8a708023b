import { defineJob } from '@strata/queue'
import { z } from 'zod'
import type { Stage } from '../process/stage.ts'
import type { Scenario } from './scenario.ts'

// A root is a trio: a transaction T on level 0 that has written document X and awaits a job J; and a stranger's job S, whose
// caller holds nothing, that writes X as well. S is called after T has written, J after S's write is under way. T waits for
// J, S waits for X, which T holds. What J needs of S, and so closes the circle, is the scenario's own.

const input = z.object({ root: z.number() })
const output = z.object({})

/** What the actors of a trio do to their document. */
export interface TrioWrites {
  /** T's write. */
  readonly hold: (stage: Stage, id: string) => Promise<unknown>
  /** S's write. */
  readonly intrude: (stage: Stage, id: string) => Promise<unknown>
  /** Whether the document is there from the beginning. */
  readonly exists: boolean
  /** True to have both jobs in one queue, and so in one lane. */
  readonly sharesQueue?: true
}

/** The trios of the scenario of this name. */
export function trios(
  name: string,
  { hold, intrude, exists, sharesQueue }: TrioWrites,
): Required<Pick<Scenario, 'prepare' | 'work' | 'root'>> {
  const queue = sharesQueue ? { queue: name } : {}
  const read = defineJob({ name: `${name}.read`, input, output, ...queue })
  const stranger = defineJob({ name: `${name}.write`, input, output, ...queue })
  const documentOf = (root: number) => `${name}-${root}`
  const writtenBy = (root: number) => `transaction ${root} has written`
  const blockedBy = (root: number) => `stranger ${root} is under way`

  const transaction = (stage: Stage, root: number): Promise<void> =>
    stage.unit(root, () =>
      stage.transaction(async () => {
        await hold(stage, documentOf(root))
        stage.gates.open(writtenBy(root))
        await stage.gates.wait(blockedBy(root))
        await stage.call(read, { root })
      }),
    )
  const callStranger = async (stage: Stage, root: number): Promise<void> => {
    await stage.gates.wait(writtenBy(root))
    await stage.unit(root, () => stage.call(stranger, { root }))
  }
  return {
    prepare: async stage => {
      if (!exists) return
      const roots = Array.from({ length: stage.settings.roots }, (_, root) => root)
      await stage.raw.insertMany(roots.map(root => ({ _id: documentOf(root), writes: 0 })))
    },
    work: (handlers, stage) => {
      handlers.handle(read, async ({ root }) => {
        await stage.documents.findOne({ _id: documentOf(root) })
        return {}
      })
      handlers.handle(stranger, async ({ root }) => {
        await stage.openWhenUnderWay(blockedBy(root), () => intrude(stage, documentOf(root)))
        return {}
      })
    },
    root: async (stage, root) => {
      await Promise.all([transaction(stage, root), callStranger(stage, root)])
    },
  }
}
