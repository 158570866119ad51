import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { backupFolder } from './begin.ts'
import { type Manifest, partialSuffix, readManifest } from './manifest.ts'

/** A backup as its manifest tells it; nothing of it has been read yet. */
export interface ChosenBackup {
  folder: string
  manifest: Manifest
}

/**
 * The backup that a command is about: the one named (a path, or a name inside of BACKUP_DIR), else the one that this run has taken, else the newest whole one of this cluster in BACKUP_DIR.
 * @param named of the flag --backup
 * @throws OperatorError when there is none, or the named one is no whole backup
 */
export async function chooseBackup(migration: Migration, named?: string): Promise<ChosenBackup> {
  const { backupDir, clusterName } = migration.settings
  if (named !== undefined) return read(isAbsolute(named) || existsSync(named) ? resolve(named) : join(backupDir, named))
  const own = backupFolder(migration)
  if (own !== undefined && existsSync(own)) return read(own)
  const whole = await wholeBackups(backupDir)
  const newest = whole
    .filter(({ manifest }) => manifest.cluster === clusterName && manifest.content === 'backup')
    .at(-1)
  if (newest) return newest
  throw new OperatorError(`There is no whole backup of ${clusterName} in ${backupDir}.`, {
    means:
      whole.length > 0
        ? `Those there are of other clusters, or final sets: ${whole.map(({ folder }) => folder).join(', ')}.`
        : 'BACKUP_DIR holds none.',
    next: 'Take one (task migrate:backup), or name one: -- --backup FOLDER',
  })
}

/** The folders in BACKUP_DIR with a manifest that can be read, oldest first. */
export async function wholeBackups(backupDir: string): Promise<ChosenBackup[]> {
  const names = await readdir(backupDir).catch((): string[] => [])
  const candidates = names.filter((name) => !name.endsWith(partialSuffix)).map((name) => join(backupDir, name))
  const read = candidates.map((folder) =>
    readManifest(folder)
      .then((manifest) => ({ folder, manifest }))
      .catch(() => undefined),
  )
  const found = (await Promise.all(read)).filter((backup) => backup !== undefined)
  return found.toSorted((a, b) => a.manifest.createdAt.localeCompare(b.manifest.createdAt))
}

async function read(folder: string): Promise<ChosenBackup> {
  return { folder, manifest: await readManifest(folder) }
}
