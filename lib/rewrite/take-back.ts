import { OperatorError } from '../migration/errors.ts'
import { Journal } from '../migration/journal.ts'
import type { JournaledChange, Json, Migration, Undone } from '../migration/migration.ts'
import { undoRewrite } from './apply.ts'
import { standingChanges, standingIn } from './standing.ts'

/** How changes are taken back, by their kinds. */
export type Undoing = Readonly<Record<string, (change: JournaledChange) => Promise<Undone>>>

/**
 * Takes the newest rewrites back: all of this run's, else those of the last run that made any.
 * @throws OperatorError when there is none
 */
export async function takeBackRewrites(migration: Migration, undoing: Undoing): Promise<Json> {
  const isUndone = (kind: string) => kind in undoing
  const own = standingIn(migration.journal, isUndone)
  for (const change of own) await migration.undo(change, () => undoOne(change, undoing))
  if (own.length > 0) return { takenBack: own.length }
  const [earlier] = standingChanges(migration, isUndone)
  if (earlier === undefined) {
    throw new OperatorError('There is no rewrite to take back.', {
      means: `No run in ${migration.settings.outputDir} has made one that was not taken back.`,
      next: 'If OUTPUT_DIR was another one then, set it. Else Git knows what was there: git diff',
    })
  }
  for (const change of earlier.changes) await takeBackEarlier(migration, earlier.journalPath, change, undoing)
  return { takenBack: earlier.changes.length }
}

async function takeBackEarlier(
  migration: Migration,
  journalPath: string,
  change: JournaledChange,
  undoing: Undoing,
): Promise<void> {
  await migration.change(`take back: ${change.what}`, {
    apply: async () => {
      const outcome = await undoOne(change, undoing)
      if (outcome.startsWith('conflict')) {
        return migration.console.warn(`${change.what} was not undone, ${outcome}`)
      }
      // The run that made it shall not offer it again.
      const journal = Journal.open(journalPath, migration.clock.now)
      journal.append({ type: 'outcome', id: change.id, state: 'undone' })
      journal.close()
    },
  })
}

/**
 * Takes a rewrite of the repository back, byte for byte.
 * @throws OperatorError when files were changed since: then nothing of that rewrite is taken back
 */
export async function takeBackRepository(change: JournaledChange): Promise<Undone> {
  const outcome = await undoRewrite(change)
  if (!outcome.startsWith('conflict')) return outcome
  throw new OperatorError(`The rewrite cannot be taken back, ${outcome}.`, {
    means: 'Nothing of it was taken back: what somebody has written since would be lost.',
    next: 'Put these files back as the rewrite left them (git diff shows what came after), then the same command again.',
  })
}

function undoOne(change: JournaledChange, undoing: Undoing): Promise<Undone> {
  const undo = undoing[change.undo?.kind ?? '']
  if (undo === undefined) throw new Error(`nobody undoes ${change.what}`)
  return undo(change)
}
