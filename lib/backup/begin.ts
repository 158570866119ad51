import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import * as z from 'zod'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { Archive, archiveName } from './archive.ts'
import type { Estimate } from './disk.ts'
import { type BackupKeys, decryptionAtHand, keysFor, protectedIdentityFile } from './keys.ts'
import { type FileEntry, partialSuffix } from './manifest.ts'
import { offerToClean } from './unfinished.ts'
import { assertRecipient } from './verify.ts'
import { markWriter } from './writer.ts'

/** A backup shows one evening's state: a run that is taken up later than this begins a new one. */
const staleAfterMinutes = 60

const beginning = 'Begin the backup folder'

const inProgress = z.object({ name: z.string(), createdAt: z.string(), backupDir: z.string().exactOptional() })
type Begun = { name: string; createdAt: string; files: FileEntry[] }

/** The fact `backup`: the newest whole and verified backup of the run. */
export const backupFact = z.object({ folder: z.string() })

/** Where the newest whole backup of this run is. */
export function backupFolder(migration: Migration): string | undefined {
  return migration.recall('backup', backupFact)?.folder
}

/** A backup that is being taken by this run. */
export interface BackupInProgress {
  archive: Archive
  /** ISO 8601 */
  createdAt: string
  /** those that are in it from the beginning */
  files: FileEntry[]
}

/**
 * Makes the folder of a new backup, or goes on in the one that this run has begun; what an interrupted attempt of this run
 * has left is removed, what others have left is named and offered to be removed.
 * @param expected how large it is likely to become
 * @throws OperatorError without recipients, or with an identity that could not open the backup, or when there is no place to write to
 */
export async function beginBackup(migration: Migration, expected?: Estimate): Promise<BackupInProgress> {
  assertStillThere(migration)
  const keys = await keysFor(migration, ownPartial(migration))
  await assertOpens(migration, keys)
  const goesOn = migration.journal.doneStep(migration.phase, beginning) !== undefined
  if (!goesOn) await offerToClean(migration, ownPartial(migration))
  const begin = async () => {
    const { name, ...begun } = await migration.step(beginning, () => makeFolder(migration, keys))
    const archive = new Archive(migration.settings.backupDir, name, keys.encryption)
    archive.expected = expected
    return { archive, ...begun }
  }
  const begun = await begin()
  if (migration.dryRun || (await isUsable(migration, begun))) {
    if (goesOn && !migration.dryRun) await takeOver(migration, begun)
    return begun
  }
  migration.console.warn(`The backup that was begun at ${begun.createdAt} is gone or too old: a new one is begun.`)
  // What the journal knows as done was done in that folder: the phase begins anew.
  migration.journal.append({ type: 'phase', phase: migration.phase, state: 'begin' })
  return begin()
}

async function isUsable({ clock }: Migration, { archive, createdAt }: BackupInProgress): Promise<boolean> {
  const minutes = (clock.now().getTime() - Date.parse(createdAt)) / 60_000
  return (await archive.state()) !== 'gone' && minutes < staleAfterMinutes
}

async function takeOver(migration: Migration, { archive }: BackupInProgress): Promise<void> {
  if ((await archive.state()) !== 'partial') return
  await migration.change(`Note in ${archive.partial} who goes on with it`, {
    apply: () => markWriter(archive.partial),
  })
}

/**
 * A BACKUP_DIR that this run has made a backup in does not go away by itself. Made anew on the disk below a mount point, it would look like the NAS.
 * @throws OperatorError when it is gone
 */
function assertStillThere(migration: Migration): void {
  const { backupDir } = migration.settings
  if (migration.recall('backup-in-progress', inProgress)?.backupDir !== backupDir || existsSync(backupDir)) return
  throw new OperatorError(`${backupDir} (BACKUP_DIR) is gone: this run has begun a backup in it.`, {
    means: 'The disk was unplugged, or the NAS is not mounted. Nothing was written.',
    next: `Mount it again, then the same command. If you removed the folder yourself: mkdir ${backupDir}`,
  })
}

/** With an identity at hand that is none of the recipients', nobody has shown that the backup can be opened. */
async function assertOpens(migration: Migration, { encryption }: BackupKeys): Promise<void> {
  const decryption = await decryptionAtHand(migration)
  if (decryption) assertRecipient(decryption, encryption.recipients, 'what AGE_RECIPIENTS encrypts to')
}

async function makeFolder(migration: Migration, { encryption, protectedIdentity }: BackupKeys): Promise<Begun> {
  const { backupDir, clusterName } = migration.settings
  await removeOwnLeftOver(migration)
  const now = migration.clock.now()
  const begun = { name: archiveName(clusterName, now), createdAt: now.toISOString() }
  if (!migration.dryRun) migration.remember('backup-in-progress', { ...begun, backupDir })
  const files = await migration.change(`Make the backup folder ${join(backupDir, begun.name)}`, {
    apply: async () => {
      const archive = await Archive.begin(backupDir, begun.name, encryption)
      await markWriter(archive.partial)
      return protectedIdentity ? [await archive.add(protectedIdentityFile, protectedIdentity)] : []
    },
  })
  return { ...begun, files: files ?? [] }
}

function ownPartial(migration: Migration): string | undefined {
  const left = migration.recall('backup-in-progress', inProgress)
  return left && join(left.backupDir ?? migration.settings.backupDir, left.name + partialSuffix)
}

async function removeOwnLeftOver(migration: Migration): Promise<void> {
  const partial = ownPartial(migration)
  if (partial === undefined || !existsSync(partial)) return
  await migration.change(`Remove the unfinished backup ${partial}`, {
    apply: () => rm(partial, { recursive: true, force: true }),
  })
}
