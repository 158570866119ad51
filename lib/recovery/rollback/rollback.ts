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
import type { Talosctl } from '../../talos/talosctl.ts'
import { withPeering } from './peering.ts'
import { type Effects, type Undo, undoOf } from './undo-table.ts'
import { isJoin, type Undoable, type WayBack, wayBack } from './way-back.ts'

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

/** What was done to the machines is undone when the old one runs the cluster again; one that has left etcd has to join it again. */
export async function settleMachines(migration: Migration): Promise<void> {
  for (const change of left(migration, 'machines').filter((one) => !isJoin(one))) {
    const { kind, uuid, node, address } = change.undo
    const hasLeft = kind === 'power' && uuid === undefined
    const leftForGood =
      `conflict: it has left etcd. To have it back: task migrate:join NODE=${node} IP=${address}` as const
    await migration.undo(change, async () => (hasLeft ? leftForGood : 'undone'))
  }
}

/** Undoes what is left to undo outside of the cluster, the newest first. */
export async function undoOutside(
  migration: Migration,
  talosctl: Talosctl,
  where: 'files' | 'nodes' | 'cloud',
): Promise<void> {
  const effects = effectsOf(migration, talosctl)
  for (const change of left(migration, where)) {
    const undo = undoOf(change.undo)
    if (undo.where === where) await migration.undo(change, () => undo.undo(effects, change))
  }
}

/** Undoes what is left to undo in the cluster, the newest first. */
export async function undoInside(migration: Migration, talosctl: Talosctl, api: KubernetesApi): Promise<void> {
  const effects = { ...effectsOf(migration, talosctl), api }
  for (const change of left(migration, 'cluster')) {
    const undo = undoOf(change.undo)
    if (undo.where === 'cluster') await migration.undo(change, () => undo.undo(effects, change))
  }
}

/** Makes peerings as they were. @throws OperatorError when the other cluster cannot be reached, or Liqo does not run */
export async function undoPeering(migration: Migration, talosctl: Talosctl, api: KubernetesApi): Promise<void> {
  const changes = left(migration, 'peering')
  if (changes.length === 0) return
  await withPeering(migration, api, async (mesh) => {
    const effects = { ...effectsOf(migration, talosctl), mesh }
    for (const change of changes) {
      const undo = undoOf(change.undo)
      if (undo.where === 'peering') await migration.undo(change, () => undo.undo(effects, change))
    }
  })
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
  if (conflicts.length > 0) throw notAllUndone(conflicts)
  console.info(`${settings.clusterName} is as it was. Forward again: task migrate:run, which goes on after the backup.`)
}

function notAllUndone(conflicts: ReturnType<typeof standingConflicts>): OperatorError {
  const lines = conflicts.map(({ what, message }) => `  ${what}: ${message}`)
  return new OperatorError(`${conflicts.length} changes were not undone:\n${lines.join('\n')}`, {
    means: 'Somebody has changed the same things since. All else is undone.',
    next: 'To put back what was there before all the same: task migrate:rollback -- --take-back',
  })
}

function left({ journal }: Migration, where: Undo['where']): Undoable[] {
  return wayBack(journal).changes.filter(({ undo }) => undoOf(undo).where === where)
}

function effectsOf(migration: Migration, talosctl: Talosctl): Effects {
  return {
    migration,
    talosctl,
    takeBack: migration.flags['take-back'] === true,
    open: async (path) => {
      const decryption = await decryptionOf(migration, backupFolder(migration) ?? '')
      const chunks: Uint8Array[] = []
      for await (const chunk of decryption.decrypt(once(await readFile(path)), path)) chunks.push(chunk)
      return Buffer.concat(chunks)
    },
  }
}
