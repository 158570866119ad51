import { readFile } from 'node:fs/promises'
import { once } from '../../backup/archive.ts'
import { backupFolder } from '../../backup/begin.ts'
import { decryptionOf } from '../../backup/keys.ts'
import type { KubernetesApi } from '../../kubernetes/api.ts'
import { stillAway } from '../../kubernetes/evacuation/ledger.ts'
import { standingConflicts } from '../../migration/conflicts.ts'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import { rolledBack } from '../../migration/phases.ts'
import type { Effects } from './undo-table.ts'
import { undoOf } from './undo-table.ts'
import { type Undoable, type WayBack, wayBack } from './way-back.ts'

/**
 * Asks the operator, and notes that from here on the phases of the evening count as not begun.
 * @throws OperatorError when the answer is no
 */
export async function beginRollback({ journal, prompt }: Migration, way: WayBack): Promise<void> {
  if (journal.rollbackUnderWay) return
  if ((await prompt.confirm('Go back, as it is said above?')) === false) {
    throw new OperatorError('You said no.', { means: 'Nothing was undone.', next: 'task migrate:status' })
  }
  for (const { id } of way.standAgain) {
    journal.append({ type: 'outcome', id, state: 'done', message: "stands still in the old machine's etcd" })
  }
  for (const { id } of way.goWithIt) {
    journal.append({ type: 'outcome', id, state: 'undone', message: "goes with the new machine's etcd" })
  }
  journal.append({ type: 'rollback', state: 'begun', phases: [...rolledBack] })
}

/** Undoes what was done to the machines: nothing is left to do for it when the old one runs the cluster again. */
export async function settleMachines(migration: Migration): Promise<void> {
  for (const change of left(migration, 'machines')) await migration.undo(change, async () => 'undone')
}

/** Gives the operator the files back as they were. */
export async function undoFiles(migration: Migration): Promise<void> {
  const effects = effectsOf(migration)
  for (const change of left(migration, 'files')) {
    const undo = undoOf(change.undo)
    if (undo.where === 'files') await migration.undo(change, () => undo.undo(effects, change.undo))
  }
}

/** Undoes whatever is left in the cluster, the newest first. */
export async function undoInCluster(migration: Migration, api: KubernetesApi): Promise<void> {
  const effects = { ...effectsOf(migration), api }
  for (const change of left(migration, 'cluster')) {
    const undo = undoOf(change.undo)
    if (undo.where === 'cluster') await migration.undo(change, () => undo.undo(effects, change.undo))
  }
}

/**
 * Closes the rollback: from here on the evening can begin again after its backup.
 * @throws OperatorError when something was left as somebody has made it meanwhile, with each by name
 */
export function finishRollback({ journal, console, settings }: Migration): void {
  for (const { namespace, claim, copy } of stillAway(journal)) {
    console.info(`The copy ${namespace}/${copy} of ${claim} stays: kubectl delete pvc -n ${namespace} ${copy}`)
  }
  const conflicts = standingConflicts(journal)
  journal.append({ type: 'rollback', state: 'done', phases: [...rolledBack] })
  if (conflicts.length === 0) {
    console.info(
      `${settings.clusterName} is as it was. Forward again: task migrate:run, which goes on after the backup.`,
    )
    return
  }
  const lines = conflicts.map(({ what, message }) => `  ${what}: ${message}`)
  throw new OperatorError(`${conflicts.length} changes were not undone:\n${lines.join('\n')}`, {
    means: 'Somebody has changed the same things since. All else is undone.',
    next: 'To put back what was there before all the same: task migrate:rollback -- --take-back',
  })
}

function left({ journal }: Migration, where: ReturnType<typeof undoOf>['where']): Undoable[] {
  return wayBack(journal).changes.filter(({ undo }) => undoOf(undo).where === where)
}

function effectsOf(migration: Migration): Effects {
  return {
    migration,
    takeBack: migration.flags['take-back'] === true,
    open: async (path) => {
      const decryption = await decryptionOf(migration, backupFolder(migration) ?? '')
      const chunks: Uint8Array[] = []
      for await (const chunk of decryption.decrypt(once(await readFile(path)), path)) chunks.push(chunk)
      return Buffer.concat(chunks)
    },
  }
}
