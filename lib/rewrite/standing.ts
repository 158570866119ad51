import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Journal } from '../migration/journal.ts'
import type { JournaledChange, Migration } from '../migration/migration.ts'
import { rewriteKind, stateOf } from './apply.ts'
import type { RepositoryPath } from './repository.ts'
import { readUndoFile } from './undo-file.ts'

/** The changes of one run that were not taken back, the last one first: a file may have been rewritten twice. */
export interface Standing {
  readonly journalPath: string
  readonly changes: readonly JournaledChange[]
}

/** The changes of these kinds of every run in OUTPUT_DIR that has made any, the newest run first. */
export function standingChanges({ settings, clock }: Migration, isOfKind: (kind: string) => boolean): Standing[] {
  const runs = join(settings.outputDir, 'runs')
  const names = existsSync(runs) ? readdirSync(runs).sort().toReversed() : []
  return names
    .map((name) => {
      const journalPath = join(runs, name, 'journal.jsonl')
      return { journalPath, changes: standingIn(Journal.inMemory(journalPath, clock.now), isOfKind) }
    })
    .filter(({ changes }) => changes.length > 0)
}

export function standingIn(journal: Journal, isOfKind: (kind: string) => boolean): JournaledChange[] {
  return journal
    .changes()
    .filter(({ state, undo }) => state !== 'undone' && undo !== null && isOfKind(undo.kind))
    .toReversed()
}

/** The files that are as a rewrite has left them: that they differ from what is committed is nobody else's doing. */
export function standsAsRewritten(migration: Migration, root: string): Set<RepositoryPath> {
  const files = standingChanges(migration, (kind) => kind === rewriteKind)
    .flatMap(({ changes }) => changes.map(({ undo }) => String(undo?.file)))
    .filter((file) => existsSync(file))
    .map(readUndoFile)
    .filter((undo) => undo.root === root)
    .flatMap((undo) => undo.files)
  return new Set(files.filter((file) => stateOf(root, file) === 'after').map(({ path }) => path))
}
