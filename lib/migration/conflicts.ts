import type { Journal } from './journal.ts'
import type { Migration } from './migration.ts'

/** Changes that were not undone because somebody had changed the thing meanwhile: what they were, and both values. */
export function standingConflicts(journal: Journal): { what: string; message: string }[] {
  const last = new Map<number, string | null>()
  for (const record of journal.records) {
    if (record.type !== 'outcome') continue
    last.set(record.id, record.state === 'conflict' ? (record.message ?? '') : null)
  }
  return journal.changes().flatMap(({ id, what }) => {
    const message = last.get(id)
    return message == null ? [] : [{ what, message }]
  })
}

/** Says what was left as somebody has made it meanwhile, and how to take it back all the same. */
export function tellConflicts({ journal, console, dryRun }: Migration): void {
  const conflicts = standingConflicts(journal)
  if (conflicts.length === 0 || dryRun) return
  console.warn(
    `${conflicts.length} of the drain's changes were not undone, for somebody has changed the same thing since (named above). To put back what was there before the drain: task migrate:resume -- --take-back`,
  )
}
