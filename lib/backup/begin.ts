import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Migration } from '../migration/migration.ts'
import { Archive, archiveName, unfinished } from './archive.ts'
import { type BackupKeys, decryptionAtHand, keysFor, protectedIdentityFile } from './keys.ts'
import { type FileEntry, partialSuffix } from './manifest.ts'
import { assertRecipient } from './verify.ts'

/** A backup shows one evening's state: a run that is taken up later than this begins a new one. */
const staleAfterMinutes = 60

const inProgress = z.object({ name: z.string(), createdAt: z.string() })
type Begun = z.output<typeof inProgress> & { files: FileEntry[] }

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
 * has left is removed.
 * @throws OperatorError without recipients, or with an identity that could not open the backup, or when there is no place to write to
 */
export async function beginBackup(migration: Migration): Promise<BackupInProgress> {
  const { settings } = migration
  const keys = await keysFor(migration, ownPartial(migration))
  await assertOpens(migration, keys)
  const begin = () => migration.step('Begin the backup folder', () => makeFolder(migration, keys))
  const inThere = ({ name, ...begun }: Begun) => ({
    archive: new Archive(settings.backupDir, name, keys.encryption),
    ...begun,
  })
  const begun = inThere(await begin())
  const minutes = (migration.clock.now().getTime() - Date.parse(begun.createdAt)) / 60_000
  if (migration.dryRun || ((await begun.archive.state()) !== 'gone' && minutes < staleAfterMinutes)) return begun
  migration.console.warn(`The backup that was begun at ${begun.createdAt} is gone or too old: a new one is begun.`)
  // What the journal knows as done was done in that folder: the phase begins anew.
  migration.journal.append({ type: 'phase', phase: migration.phase, state: 'begin' })
  return inThere(await begin())
}

/** With an identity at hand that is none of the recipients', nobody has shown that the backup can be opened. */
async function assertOpens(migration: Migration, { encryption }: BackupKeys): Promise<void> {
  const decryption = await decryptionAtHand(migration)
  if (decryption) assertRecipient(decryption, encryption.recipients, 'what AGE_RECIPIENTS encrypts to')
}

async function makeFolder(migration: Migration, { encryption, protectedIdentity }: BackupKeys): Promise<Begun> {
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
  const files = await migration.change(`Make the backup folder ${join(backupDir, begun.name)}`, {
    apply: async () => {
      const archive = await Archive.begin(backupDir, begun.name, encryption)
      return protectedIdentity ? [await archive.add(protectedIdentityFile, protectedIdentity)] : []
    },
  })
  return { ...begun, files: files ?? [] }
}

function ownPartial(migration: Migration): string | undefined {
  const left = migration.recall('backup-in-progress', inProgress)
  return left && join(migration.settings.backupDir, left.name + partialSuffix)
}

async function removeOwnLeftOver(migration: Migration): Promise<void> {
  const partial = ownPartial(migration)
  if (partial === undefined) return
  if (!(await unfinished(migration.settings.backupDir)).includes(partial)) return
  await migration.change(`Remove the unfinished backup ${partial}`, {
    apply: () => rm(partial, { recursive: true, force: true }),
  })
}
