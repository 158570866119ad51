import { existsSync } from 'node:fs'
import { readdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { KubernetesApi } from '../kubernetes/api.ts'
import { messageOf } from '../migration/errors.ts'
import type { Json, Migration } from '../migration/migration.ts'
import { backupFolder } from './begin.ts'
import { syncFolder } from './disk.ts'
import { withExcuses } from './excuses.ts'
import { type Manifest, partialSuffix, readManifest, removingSuffix } from './manifest.ts'
import { isNameOf } from './unfinished.ts'
import { verifyBackup } from './verify.ts'

interface KeptBackup {
  folder: string
  createdAt: string
}

/**
 * Removes the whole backups of this cluster that are older than the newest BACKUP_KEEP whole ones. Each is read back before it is counted
 * or removed; a broken one is named, and neither. Final sets, other clusters' backups, and the one that this run goes by stay.
 * @param api tells the cluster's identity: names may be given twice
 * @param fresh the backup that was just taken and read back; undefined in a dry run, which counts it all the same
 */
export async function removeOldBackups(
  migration: Migration,
  api: Pick<KubernetesApi, 'get'>,
  fresh: string | undefined,
): Promise<Json> {
  const { backupKeep, backupDir } = migration.settings
  await finishRemovals(migration)
  if (backupKeep === undefined) return null
  if (fresh !== undefined && (await isIncomplete(migration, fresh))) {
    migration.console.warn(`No old backup is removed, for ${fresh} is not complete.`)
    return null
  }
  const kubeSystem = await api.get('/api/v1/namespaces/kube-system')
  const { ours, unreadable } = await backupsOf(migration, kubeSystem.metadata.uid ?? '')
  for (const problem of unreadable) migration.console.warn(problem)
  const goesBy = backupFolder(migration)
  const others = ours.filter(({ folder }) => folder !== fresh)
  if (others.length + 1 <= backupKeep) return null
  const removed: string[] = []
  // The fresh one was read back a moment ago.
  let whole = 1
  for (const { folder } of others) {
    const problem = await whyNotWhole(folder)
    if (problem !== undefined) {
      migration.console.warn(`${folder} is not whole, and neither counted nor removed: ${problem}`)
    } else if (whole < backupKeep || folder === goesBy) {
      whole++
    } else {
      await remove(migration, folder)
      removed.push(basename(folder))
    }
  }
  if (!migration.dryRun && removed.length > 0)
    migration.console.info(`Removed from ${backupDir}: ${removed.join(', ')}`)
  return { kept: whole, removed }
}

/** Whether it had to leave out what BACKUP_EXCUSE does not excuse: an older one may hold it. */
async function isIncomplete({ settings }: Migration, fresh: string): Promise<boolean> {
  const { unreadable } = await readManifest(fresh)
  return withExcuses(unreadable, settings.backupExcuse).some(({ excused }) => !excused)
}

/** Whole by their manifests, newest first; those of this cluster's name whose manifest cannot be read, as sentences. */
async function backupsOf(migration: Migration, kubeSystemUid: string) {
  const { backupDir, clusterName } = migration.settings
  const ours: KeptBackup[] = []
  const unreadable: string[] = []
  for (const name of await readdir(backupDir).catch((): string[] => [])) {
    if (name.endsWith(partialSuffix) || name.endsWith(removingSuffix)) continue
    const folder = join(backupDir, name)
    const manifest = await readManifest(folder).catch(messageOf)
    if (typeof manifest !== 'string') {
      if (isBackupOf(manifest, kubeSystemUid)) ours.push({ folder, createdAt: manifest.createdAt })
    } else if (isNameOf(clusterName, name)) {
      unreadable.push(`${manifest} It is neither counted nor removed.`)
    }
  }
  ours.sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.folder.localeCompare(a.folder))
  return { ours, unreadable }
}

function isBackupOf({ content, identity }: Manifest, kubeSystemUid: string): boolean {
  return content === 'backup' && identity.kubeSystemUid === kubeSystemUid
}

async function whyNotWhole(folder: string): Promise<string | undefined> {
  try {
    const { problems } = await verifyBackup(folder)
    return problems.length > 1 ? `${problems[0]}, and ${problems.length - 1} more` : problems[0]
  } catch (error) {
    return messageOf(error)
  }
}

/** Renamed first, so that a kill in the middle never leaves half a backup under a backup's name. */
async function remove(migration: Migration, folder: string): Promise<void> {
  const { backupDir } = migration.settings
  await migration.change(`Remove the old backup ${folder}`, {
    apply: async () => {
      if (existsSync(folder)) await rename(folder, folder + removingSuffix)
      await syncFolder(backupDir)
      await rm(folder + removingSuffix, { recursive: true, force: true })
    },
  })
}

/** What a killed removal has left. */
async function finishRemovals(migration: Migration): Promise<void> {
  const { backupDir, clusterName } = migration.settings
  for (const name of await readdir(backupDir).catch((): string[] => [])) {
    if (!name.endsWith(removingSuffix) || !isNameOf(clusterName, basename(name, removingSuffix))) continue
    await migration.change(`Finish removing the old backup ${join(backupDir, name)}`, {
      apply: () => rm(join(backupDir, name), { recursive: true, force: true }),
    })
  }
}
