import { join } from 'node:path'
import { type Clock, systemClock } from '../migration/clock.ts'
import { Journal } from '../migration/journal.ts'
import { momentsOf } from './downtime.ts'
import type { PracticeCluster } from './practice-cluster.ts'
import type { PracticeMachine } from './practice-machine.ts'

export interface SwapOptions {
  signal: AbortSignal
  clock?: Clock
  /** Milliseconds that the operator's hands need between the proof and the new machine's power button; default 0. */
  handsMs?: number
  /** The address of the new machine; by default that of the old one. */
  address?: string
}

const lookEveryMs = 100

/**
 * The operator who stands beside the machines: waits until the run has proven that the old machine is off, pulls its plug,
 * puts another machine on its address, or on another one, and switches that on.
 * @returns the new machine, or null when the signal aborted before it came to that
 */
export async function swapWhenAsked(cluster: PracticeCluster, options: SwapOptions): Promise<PracticeMachine | null> {
  const clock = options.clock ?? systemClock
  const journal = join(cluster.homelab.outputDir, 'current', 'journal.jsonl')
  // The swap comes after the proof and not after the power-off: a new machine that answers already would spoil the proof.
  while (provenOffAt(journal) === undefined) {
    if (options.signal.aborted) return null
    await clock.sleep(lookEveryMs, options.signal)
  }
  await clock.sleep(options.handsMs ?? 0, options.signal)
  if (options.signal.aborted) return null
  await cluster.old.cutPower()
  const replacement = cluster.addMachine('new', options.address)
  replacement.powerOn()
  return replacement
}

/** When the journal says that the shutdown, proof included, was done; milliseconds since the epoch. */
export function provenOffAt(journalPath: string): number | undefined {
  return momentsOf(Journal.inMemory(journalPath, () => new Date()).records).provenOff
}
