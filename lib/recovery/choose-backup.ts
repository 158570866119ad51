import { dirname } from 'node:path'
import { backupFolder } from '../backup/begin.ts'
import { decryptionOf } from '../backup/keys.ts'
import { readManifest } from '../backup/manifest.ts'
import { type BackedUpObjects, backedUpObjects, resourceName, type Selection } from '../backup/restore/source.ts'
import { calledIn } from '../gitops/holders.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { oldMachineOff } from '../talos/old-machine.ts'

/**
 * The backup that a cluster is rebuilt from: SNAPSHOT, if it names one, else that of this run.
 * @throws OperatorError when there is none
 */
export function chooseBackup(migration: Migration): string {
  const { snapshotFile } = migration.settings
  if (snapshotFile !== undefined) return snapshotFile.endsWith('.age') ? dirname(snapshotFile) : snapshotFile
  const folder = backupFolder(migration)
  if (folder !== undefined) return folder
  throw new OperatorError('This run has no backup to rebuild the cluster from.', {
    means: 'Git does not hold everything: what it lacks is restored from a backup.',
    next: 'First: task migrate:backup. If the old machine is lost, name one: task migrate:provision RECOVERY=gitops SNAPSHOT=<backup folder>',
  })
}

/**
 * Nothing is rebuilt while the cluster could still be running elsewhere.
 * @throws OperatorError unless this run has proven the old machine off, or the operator has named the backup
 */
export function refuseUnlessOff(migration: Migration): void {
  const isOff = migration.recall('old-machine-off', oldMachineOff) !== undefined
  if (isOff || migration.dryRun || migration.settings.snapshotFile !== undefined) return
  throw new OperatorError('This run has not proven the old machine to be off.', {
    means: 'Nothing may be rebuilt while the cluster could still be running elsewhere.',
    next: 'First: task migrate:shutdown. If the old machine is lost, name the backup: task migrate:provision RECOVERY=gitops SNAPSHOT=<backup folder>',
  })
}

/** A backup that a cluster is rebuilt from, opened once: who opens it by a passphrase is asked for it once. */
export interface OpenBackup {
  readonly folder: string
  /** @param names by calledIn(): what is selected for a restore */
  select(names: ReadonlySet<string>): Promise<BackedUpObjects>
}

/**
 * Opens a backup for a rebuild.
 * @throws OperatorError when it is no whole backup of objects, or cannot be decrypted here
 */
export async function openBackup(migration: Migration, folder: string): Promise<OpenBackup> {
  const { content } = await readManifest(folder)
  if (content !== 'backup') {
    throw new OperatorError(`${folder} holds a snapshot, and no objects.`, {
      means: 'A rebuild restores what Git does not hold from a backup of all objects.',
      next: 'Name the folder of a backup: SNAPSHOT=<backup folder>, or recover from the snapshot: RECOVERY=snapshot',
    })
  }
  const decryption = await decryptionOf(migration, folder)
  return {
    folder,
    select: (names) => {
      const resources = new Set([...names].map((name) => name.slice(0, name.indexOf(' '))))
      const selection: Selection = {
        resource: (entry) => resources.has(resourceName(entry)),
        object: (object, entry) => names.has(calledIn({ resource: resourceName(entry), object })),
      }
      return backedUpObjects(folder, { decryption, selection })
    },
  }
}
