import type { TransactionWrites } from './writes.ts'

/** One piece of work in a chain of waits. */
export interface ChainLink {
  readonly kind: 'run' | 'job'
  /** Names the work for a person: a route, a job. */
  readonly name: string
  /** Unique over all processes. */
  readonly id: string
  readonly level: number
  /** The transactions that are open while it awaits the next link, outermost first, and what each has written. */
  readonly writes?: readonly TransactionWrites[]
  /** The locks over processes that it holds meanwhile, each as 16 characters made of its name. */
  readonly locks?: readonly string[]
}

/** The work that awaits this work, outermost first, and this work last. */
export type Chain = readonly [ChainLink, ...ChainLink[]]

export function printChain(chain: Chain): string {
  return chain.map(link => `${link.kind} ${link.name} (level ${link.level})`).join(' -> ')
}
