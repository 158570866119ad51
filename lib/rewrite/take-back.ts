import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { OperatorError } from '../migration/errors.ts'
import { Journal } from '../migration/journal.ts'
import type { JournaledChange, Json, Migration } from '../migration/migration.ts'
import { rewriteKind, undoRewrite } from './apply.ts'

/**
 * Takes the newest rewrites back, byte for byte: all of this run's, else those of the last run that made any.
 * @throws OperatorError when there is none, or when files were changed since: then nothing of that rewrite is taken back
 */
export async function takeBackRewrites(migration: Migration): Promise<Json> {
  const own = standing(migration.journal)
  for (const change of own) {
    await migration.undo(change, async () => refuseConflict(await undoRewrite(change)))
  }
  if (own.length > 0) return { takenBack: own.length }
  const earlier = newestEarlier(migration)
  if (earlier === undefined) {
    throw new OperatorError('There is no rewrite to take back.', {
      means: `No run in ${migration.settings.outputDir} has made one that was not taken back.`,
      next: 'If OUTPUT_DIR was another one then, set it. Else Git knows what was there: git diff',
    })
  }
  for (const change of earlier.changes) await takeBackEarlier(migration, earlier.journalPath, change)
  return { takenBack: earlier.changes.length }
}

async function takeBackEarlier(migration: Migration, journalPath: string, change: JournaledChange): Promise<void> {
  await migration.change(`take back: ${change.what}`, {
    apply: async () => {
      refuseConflict(await undoRewrite(change))
      // The run that made it shall not offer it again.
      const journal = Journal.open(journalPath, migration.clock.now)
      journal.append({ type: 'outcome', id: change.id, state: 'undone' })
      journal.close()
    },
  })
}

/** The last one first: a file may have been rewritten twice. */
function standing(journal: Journal): JournaledChange[] {
  return journal
    .changes({ kind: rewriteKind })
    .filter(({ state }) => state !== 'undone')
    .toReversed()
}

function newestEarlier({
  settings,
  clock,
}: Migration): { journalPath: string; changes: JournaledChange[] } | undefined {
  const runs = join(settings.outputDir, 'runs')
  const names = existsSync(runs) ? readdirSync(runs).sort().toReversed() : []
  for (const name of names) {
    const journalPath = join(runs, name, 'journal.jsonl')
    const changes = standing(Journal.inMemory(journalPath, clock.now))
    if (changes.length > 0) return { journalPath, changes }
  }
  return undefined
}

function refuseConflict<T extends string>(outcome: T): T {
  if (!outcome.startsWith('conflict')) return outcome
  throw new OperatorError(`The rewrite cannot be taken back, ${outcome}.`, {
    means: 'Nothing of it was taken back: what somebody has written since would be lost.',
    next: 'Put these files back as the rewrite left them (git diff shows what came after), then the same command again.',
  })
}
