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
export function hasCome(state: 'begin' | 'done', place: Place, records: readonly JournalRecord[]): boolean {
  return sinceRollback(records).some((one) => isStep(one, place) && one.state === state)
}

/** How many changes were begun in the step. */
export function changesIn({ phase, step }: Place, records: readonly JournalRecord[]): number {
  const all = sinceRollback(records)
  return all.filter((one) => one.type === 'change' && one.phase === phase && one.step.startsWith(step)).length
}

/** How many changes have been undone in the rollback that was begun last. */
export function undoneIn(records: readonly JournalRecord[]): number {
  return sinceRollback(records).filter((one) => one.type === 'outcome' && one.state === 'undone').length
}

/** How often a rollback was typed. */
export function rollbacksTyped(records: readonly JournalRecord[]): number {
  const phases = records.filter((one) => one.type === 'phase' && one.phase === 'rollback')
  return phases.filter((one) => one.type === 'phase' && (one.state === 'begin' || one.state === 'resume')).length
}

function sinceRollback(records: readonly JournalRecord[]): readonly JournalRecord[] {
  return records.slice(records.findLastIndex(({ type }) => type === 'rollback') + 1)
}

type StepRecord = Extract<JournalRecord, { type: 'step' }>

function isStep(one: JournalRecord, { phase, step }: Place): one is StepRecord {
  return one.type === 'step' && one.phase === phase && one.step.startsWith(step)
}
