import { readdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { OperatorError } from '../../migration/errors.ts'
import type { Migration } from '../../migration/migration.ts'
import { backupFact } from '../begin.ts'
import { type Manifest, partialSuffix, readManifest } from '../manifest.ts'

/**
 * The backup to restore from: the one that is named, else that of this run, else the newest whole one of this cluster in BACKUP_DIR.
 * @param named by --backup; relative to the current folder
 * @throws OperatorError when there is none
 */
export async function chooseBackup(migration: Migration, named: string | undefined): Promise<string> {
  if (named !== undefined) return resolve(named)
  const ofRun = migration.recall('backup', backupFact)
  if (ofRun !== undefined) return ofRun.folder
  const { backupDir, clusterName } = migration.settings
  const names = await readdir(backupDir).catch((): string[] => [])
  const whole = names.filter((name) => name.startsWith(`${clusterName}-`) && !name.endsWith(partialSuffix))
  // The names sort by age.
  for (const name of whole.sort().reverse()) {
    const folder = join(backupDir, name)
    const manifest = await readManifest(folder).catch((): Manifest | undefined => undefined)
    if (manifest?.content === 'backup' && manifest.cluster === clusterName) return folder
  }
  throw new OperatorError(`There is no whole backup of ${clusterName} in ${backupDir}.`, {
    next: 'Name one: task migrate:restore -- --backup FOLDER …',
  })
}
