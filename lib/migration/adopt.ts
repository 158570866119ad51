import type { UndoData } from './journal.ts'
import type { Migration } from './migration.ts'

/** A change that a drain has made and whose journal is lost: what it was can be had from a backup. */
export interface LostChange {
  /** as the drain would have called it: `Scale Deployment media/plex to 0` */
  readonly what: string
  readonly now: string
  readonly before: string
  readonly undo: UndoData
}

/**
 * Enters changes into the journal as if this run had made them, so that they are undone as any other. One that it holds
 * already, undone or not, is not entered again. In a dry run the journal is a copy in memory.
 */
export function adoptChanges({ journal, phase }: Migration, changes: readonly LostChange[]): void {
  const known = new Set(journal.changes().map(({ what }) => what))
  for (const { what, undo } of changes) {
    if (known.has(what)) continue
    const id = journal.beginChange({ phase, step: '', what, undo })
    journal.append({ type: 'outcome', id, state: 'done' })
  }
}

/** Shows what would come back, each with its value now and its value in the backup. */
export function showLostChanges({ console }: Migration, changes: readonly LostChange[]): void {
  if (changes.length === 0) {
    console.info('Nothing in the cluster is as a drain leaves it and otherwise in the backup: nothing to bring back.')
    return
  }
  const rows = changes.map(({ what, now, before }) => [what, now, before])
  console.table('Brought back from the backup', ['what a drain did', 'now', 'in the backup'], rows)
}
