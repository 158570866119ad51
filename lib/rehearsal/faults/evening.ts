import { existsSync, statSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { Journal, type JournaledChange, type JournalRecord } from '../../migration/journal.ts'
import type { PracticeCluster } from '../practice-cluster.ts'
import { journalOf } from '../rehearse.ts'
import type { Place } from './places.ts'

const lookEveryMs = 5

/** The current run's journal; undefined before there is one. */
export function currentJournal(cluster: PracticeCluster): Journal | undefined {
  const path = journalOf(cluster)
  return existsSync(path) ? Journal.inMemory(path, () => new Date()) : undefined
}

/** What the run has changed and not taken back. */
export function standingChanges(cluster: PracticeCluster): JournaledChange[] {
  return (currentJournal(cluster)?.changes() ?? []).filter(({ state }) => state !== 'undone')
}

/**
 * Waits until the journal says so, looking often enough for a fault to strike in the middle of a step.
 * @param ended whether there is nobody any more who writes it
 * @returns false when it ended before
 */
export async function untilJournal(
  cluster: PracticeCluster,
  reached: (records: readonly JournalRecord[]) => boolean,
  ended: () => boolean,
): Promise<boolean> {
  let size = -1
  for (;;) {
    // Asked before the journal is read, so that the last lines of what has just ended are not missed.
    const isOver = ended()
    const now = statSync(journalOf(cluster), { throwIfNoEntry: false })?.size ?? 0
    if (now !== size && reached(currentJournal(cluster)?.records ?? [])) return true
    if (isOver) return false
    size = now
    await delay(lookEveryMs)
  }
}

/** Whether the step was begun, or done, in the evening that stands: after the last rollback, if there was one. */
export function hasCome(state: 'begin' | 'done', { phase, step }: Place, records: readonly JournalRecord[]): boolean {
  const since = records.findLastIndex(({ type }) => type === 'rollback')
  return records
    .slice(since + 1)
    .some((one) => one.type === 'step' && one.state === state && one.phase === phase && one.step.startsWith(step))
}

/** How often a rollback was typed, as far as the journal tells. */
export function rollbacksTyped(cluster: PracticeCluster): number {
  const records = currentJournal(cluster)?.records ?? []
  return records.filter(({ type, ...one }) => type === 'phase' && isBeginning(one)).length
}

const isBeginning = (record: object) =>
  'phase' in record && record.phase === 'rollback' && 'state' in record && /^(begin|resume)$/.test(String(record.state))
