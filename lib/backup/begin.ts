import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Migration } from '../migration/migration.ts'
import { Archive, archiveName, unfinished } from './archive.ts'
import { decryptionAtHand, encryptionTo } from './encryption.ts'
import { partialSuffix } from './manifest.ts'
import { assertRecipient } from './verify.ts'

/** A backup shows one evening's state: a run that is taken up later than this begins a new one. */
const staleAfterMinutes = 60

const inProgress = z.object({ name: z.string(), createdAt: z.string() })

/** The fact `backup`: the newest whole and verified backup of the run. */
export const backupFact = z.object({ folder: z.string() })

/** A backup that is being taken by this run. */
export interface BackupInProgress {
  archive: Archive
  /** ISO 8601 */
  createdAt: string
}

/**
 * Makes the folder of a new backup, or goes on in the one that this run has begun; what an interrupted attempt of this run
 * has left is removed.
 * @throws OperatorError without recipients, or with an identity that could not open the backup, or when there is no place to write to
 */
export async function beginBackup(migration: Migration): Promise<BackupInProgress> {
  const { settings } = migration
  const encryption = encryptionTo(settings.ageRecipients)
  const decryption = await decryptionAtHand(settings.ageIdentityFile)
  if (decryption) assertRecipient(decryption, encryption.recipients, 'what AGE_RECIPIENTS encrypts to')
  const begin = () => migration.step('Begin the backup folder', () => makeFolder(migration, encryption))
  const begun = await begin()
  const archive = new Archive(settings.backupDir, begun.name, encryption)
  const minutes = (migration.clock.now().getTime() - Date.parse(begun.createdAt)) / 60_000
  if (migration.dryRun || ((await archive.state()) !== 'gone' && minutes < staleAfterMinutes)) {
    return { archive, createdAt: begun.createdAt }
  }
  migration.console.warn(`The backup that was begun at ${begun.createdAt} is gone or too old: a new one is begun.`)
  // What the journal knows as done was done in that folder: the phase begins anew.
  migration.journal.append({ type: 'phase', phase: migration.phase, state: 'begin' })
  const { name, createdAt } = await begin()
  return { archive: new Archive(settings.backupDir, name, encryption), createdAt }
}

async function makeFolder(migration: Migration, encryption: ReturnType<typeof encryptionTo>) {
  const { backupDir, clusterName } = migration.settings
  await removeOwnLeftOver(migration)
  for (const folder of await unfinished(backupDir)) {
    migration.console.warn(
      `${folder} was never finished and is no backup. Remove it, unless another run is writing it.`,
    )
  }
  const now = migration.clock.now()
  const begun = { name: archiveName(clusterName, now), createdAt: now.toISOString() }
  if (!migration.dryRun) migration.remember('backup-in-progress', begun)
  await migration.change(`Make the backup folder ${join(backupDir, begun.name)}`, {
    apply: async () => void (await Archive.begin(backupDir, begun.name, encryption)),
  })
  return begun
}

async function removeOwnLeftOver(migration: Migration): Promise<void> {
  const left = migration.recall('backup-in-progress', inProgress)
  if (left === undefined) return
  const partial = join(migration.settings.backupDir, left.name + partialSuffix)
  if (!(await unfinished(migration.settings.backupDir)).includes(partial)) return
  await migration.change(`Remove the unfinished backup ${partial}`, {
    apply: () => rm(partial, { recursive: true, force: true }),
  })
}
