import type { Json, Migration } from '../migration/migration.ts'
import type { BackupInProgress } from './begin.ts'
import { decryptionAtHand } from './encryption.ts'
import { withExcuses } from './excuses.ts'
import type { ConfigsBackup, SnapshotBackup } from './machines.ts'
import type { FileEntry } from './manifest.ts'
import type { ResourcesBackup } from './resources.ts'
import { assertWhole, verifyBackup } from './verify.ts'

/** What the steps of a backup came to; undefined in a dry run. */
export interface Parts {
  snapshot: SnapshotBackup | undefined
  objects: ResourcesBackup | undefined
  configs: ConfigsBackup | undefined
  facts: FileEntry[]
}

/** Writes something readable and free of secrets, such as the baseline, as one JSON file. */
export async function writeFacts(
  migration: Migration,
  { archive }: BackupInProgress,
  path: string,
  facts: unknown,
): Promise<FileEntry[]> {
  const text = Buffer.from(`${JSON.stringify(facts, null, 2)}\n`)
  const file = await migration.change(`Write ${path} into ${archive.name}`, { apply: () => archive.add(path, text) })
  return file ? [file] : []
}

/**
 * Writes the manifest and gives the folder its real name.
 * @returns the folder, or undefined in a dry run
 */
export async function sealBackup(
  migration: Migration,
  { archive, createdAt }: BackupInProgress,
  parts: Parts,
): Promise<string | undefined> {
  return migration.change(`Write the manifest of ${archive.name} and call it a backup`, {
    apply: async () => {
      const { snapshot, objects, configs, facts } = parts
      if (!snapshot || !objects || !configs) throw new Error('a backup is sealed before all its parts are written')
      return archive.finish({
        content: 'backup',
        cluster: migration.settings.clusterName,
        createdAt,
        files: [...snapshot.files, ...objects.files, ...configs.files, ...facts],
        resources: objects.resources,
        unreadable: withExcuses([...objects.unreadable, ...configs.unreadable], migration.settings.backupExcuse),
        identity: snapshot.identity,
        versions: snapshot.versions,
        snapshot: snapshot.snapshot,
      })
    },
  })
}

/**
 * Reads the whole backup back and, when it is whole, makes it the one that later phases go by (the fact `backup`).
 * @throws OperatorError that names every broken file
 */
export async function proveBackup(migration: Migration, folder: string | undefined): Promise<Json> {
  if (folder === undefined) return null
  const { console, settings } = migration
  const verified = await verifyBackup(folder, await decryptionAtHand(settings.ageIdentityFile))
  assertWhole(folder, verified)
  const { files, bytes, objects, opened, manifest } = verified
  migration.remember('backup', { folder })
  console.info(`${folder}: ${objects} objects in ${files} files, ${(bytes / 1e6).toFixed(1)} MB, read back and whole.`)
  if (!opened) {
    const where = settings.ageIdentityFile ?? 'AGE_IDENTITY_FILE'
    console.warn(`The encrypted files were hashed, not opened: there is no ${where}. A recovery needs it.`)
  }
  return { files, bytes, objects, opened, unreadable: manifest.unreadable.length }
}
