import { OperatorError } from '../migration/errors.ts'
import { Journal } from '../migration/journal.ts'
import type { JournaledChange, Json, Migration } from '../migration/migration.ts'
import { undoRewrite } from './apply.ts'
import { standingRewrites } from './standing.ts'

/**
 * Takes back, byte for byte, what the last run has rewritten that has rewritten anything.
 * @throws OperatorError when there is none, or when files were changed since: then nothing of that rewrite is taken back
 */
export async function takeBackRewrites(migration: Migration): Promise<Json> {
  const [newest] = standingRewrites(migration)
  if (newest === undefined) {
    throw new OperatorError('There is no rewrite to take back.', {
      means: `No run in ${migration.settings.outputDir} has made one that was not taken back.`,
      next: 'If OUTPUT_DIR was another one then, set it. Else Git knows what was there: git diff',
    })
  }
  for (const change of newest.changes) await takeBack(migration, newest.journalPath, change)
  return { takenBack: newest.changes.length }
}

async function takeBack(migration: Migration, journalPath: string, change: JournaledChange): Promise<void> {
  const undo = async () => refuseConflict(await undoRewrite(change))
  if (journalPath === migration.journal.path) return migration.undo(change, undo)
  await migration.change(`take back: ${change.what}`, {
    apply: async () => {
      await undo()
      // The run that made it shall not offer it again.
      const journal = Journal.open(journalPath, migration.clock.now)
      journal.append({ type: 'outcome', id: change.id, state: 'undone' })
      journal.close()
    },
  })
}

function refuseConflict<T extends string>(outcome: T): T {
  if (!outcome.startsWith('conflict')) return outcome
  throw new OperatorError(`The rewrite cannot be taken back, ${outcome}.`, {
    means: 'Nothing of it was taken back: what somebody has written since would be lost.',
    next: 'Put these files back as the rewrite left them (git diff shows what came after), then the same command again.',
  })
}
