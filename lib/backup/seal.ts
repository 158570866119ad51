import type { Json, Migration } from '../migration/migration.ts'
import { parseAddress } from '../network/addresses.ts'
import { liveMachineConfig, parseMachineConfig } from '../talos/machine-config.ts'
import type { Talosctl } from '../talos/talosctl.ts'
import { manifestCode } from './authenticity.ts'
import type { BackupInProgress } from './begin.ts'
import { withExcuses } from './excuses.ts'
import { decryptionAtHand } from './keys.ts'
import type { ConfigsBackup, SnapshotBackup } from './machines.ts'
import type { FileEntry } from './manifest.ts'
import type { ResourcesBackup } from './resources.ts'
import { showVerification } from './show.ts'
import { assertWhole, verifyBackup } from './verify.ts'

/** What the steps of a backup came to; undefined in a dry run. */
export interface Parts {
  snapshot: SnapshotBackup | undefined
  objects: ResourcesBackup | undefined
  machines: ConfigsBackup | undefined
  credentials: FileEntry[] | undefined
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
  talosctl: Talosctl,
  { archive, createdAt, files: first }: BackupInProgress,
  parts: Parts,
): Promise<string | undefined> {
  return migration.change(`Write the manifest of ${archive.name} and call it a backup`, {
    apply: async () => {
      const { snapshot, objects, machines, credentials, facts } = parts
      if (!snapshot || !objects || !machines || !credentials)
        throw new Error('a backup is sealed before all its parts are written')
      const address = parseAddress(migration.settings.nodeAddress, 'TALOS_NODE')
      const config = parseMachineConfig(await liveMachineConfig(talosctl, { address }), `the config of ${address}`)
      const content = {
        content: 'backup' as const,
        cluster: migration.settings.clusterName,
        createdAt,
        files: [...first, ...snapshot.files, ...objects.files, ...machines.files, ...credentials, ...facts],
        resources: objects.resources,
        unreadable: withExcuses([...objects.unreadable, ...machines.unreadable], migration.settings.backupExcuse),
        identity: snapshot.identity,
        versions: snapshot.versions,
        snapshot: snapshot.snapshot,
      }
      return archive.finish(content, (manifest) => manifestCode(config, manifest))
    },
  })
}

/**
 * Reads the whole backup back and, when it is whole, makes it the one that later phases go by (the fact `backup`).
 * @throws OperatorError that names every broken file
 */
export async function proveBackup(migration: Migration, folder: string | undefined): Promise<Json> {
  if (folder === undefined) return null
  const verified = await verifyBackup(folder, await decryptionAtHand(migration, folder))
  assertWhole(folder, verified)
  migration.remember('backup', { folder })
  showVerification(migration, folder, verified)
  const { files, bytes, objects, opened, manifest } = verified
  return { files, bytes, objects, opened, unreadable: manifest.unreadable.length }
}
