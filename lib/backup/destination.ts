import { statfs } from 'node:fs/promises'
import { basename } from 'node:path'
import { formatBytes } from '../migration/console/bytes.ts'
import { OperatorError } from '../migration/errors.ts'
import type { Migration } from '../migration/migration.ts'
import { parseAddress } from '../network/addresses.ts'
import type { Settings } from '../settings.ts'
import { databaseBytes } from '../talos/etcd.ts'
import type { Talosctl } from '../talos/talosctl.ts'
import { wholeBackups } from './choose.ts'
import { type Estimate, freeBytes } from './disk.ts'
import { describeDanger, findDangers } from './endangered.ts'
import { isOnNetwork, mountTables, onSameFileSystem, unmountedPoint } from './mounts.ts'

/** Less than this much more than the estimate is close. */
const margin = 1.2
/** talosctl rounds the size of etcd's database to two digits. */
const roundingError = 0.05

/**
 * Looks at where a backup is about to go, before its first byte: says what speaks against the place, and whether there is room.
 * An estimate is a guess, and never a reason to refuse; that a snapshot is as large as etcd's database is none.
 * @returns how large the backup is likely to become, when something tells
 * @throws OperatorError when MEMORY_DIR cannot hold the snapshot, or nothing at all is free in BACKUP_DIR
 */
export async function lookAtDestination(migration: Migration, talosctl: Talosctl): Promise<Estimate | undefined> {
  const { settings, console } = migration
  for (const warning of await destinationWarnings(settings)) console.warn(warning)
  const database = await databaseBytes(talosctl, { address: parseAddress(settings.nodeAddress, 'TALOS_NODE') })
  await assertMemoryHolds(settings.memoryDir, database)
  const estimate = await estimateBackup(settings, database)
  await checkRoom(migration, estimate)
  return estimate
}

/** What an operator should know of where backups go, one sentence each: what removes them, and what is lost together with them. */
async function destinationWarnings(settings: Settings): Promise<string[]> {
  const dangers = await findDangers(settings)
  return [...dangers.map(describeDanger), ...(await placeWarnings(settings))]
}

/** Why a backup in BACKUP_DIR could be lost together with what it saves, or hidden; one sentence each. */
export async function placeWarnings({ backupDir, homelabDir, backupCopyTo }: Settings): Promise<string[]> {
  const point = unmountedPoint(backupDir, await mountTables())
  const besides = (await onSameFileSystem(backupDir, homelabDir)) && !(await isOnNetwork(backupDir))
  return [
    ...(point
      ? [
          `BACKUP_DIR (${backupDir}) lies below ${point}, which /etc/fstab mounts and which is not mounted: the backup would go to the disk below it.`,
        ]
      : []),
    ...(backupCopyTo === undefined && besides
      ? [
          `The backup is not copied anywhere else: BACKUP_DIR (${backupDir}) is on the same disk as HOMELAB_DIR, and BACKUP_COPY_TO is not set.`,
        ]
      : []),
  ]
}

/** The newest whole backup tells best; else etcd's database, for what the snapshot and the objects gain by compression they have in common. */
export async function estimateBackup(
  { backupDir, clusterName }: Pick<Settings, 'backupDir' | 'clusterName'>,
  database: number | undefined,
): Promise<Estimate | undefined> {
  const newest = (await wholeBackups(backupDir))
    .filter(({ manifest }) => manifest.cluster === clusterName && manifest.content === 'backup')
    .at(-1)
  if (newest) {
    const bytes = newest.manifest.files.reduce((sum, file) => sum + file.bytes, 0)
    return { bytes, basis: `the newest whole backup, ${basename(newest.folder)}` }
  }
  return database === undefined ? undefined : { bytes: database, basis: "the size of etcd's database" }
}

async function checkRoom({ settings, console }: Migration, estimate: Estimate | undefined): Promise<void> {
  const { backupDir } = settings
  const free = await freeBytes(backupDir)
  if (free === 0) {
    throw new OperatorError(`Nothing at all is free in ${backupDir} (BACKUP_DIR).`, {
      means: estimate
        ? `The backup needs about ${formatBytes(estimate.bytes)}, by ${estimate.basis}. Nothing was written.`
        : 'Nothing was written.',
      next: 'Free some room there, or set BACKUP_DIR to another disk.',
    })
  }
  if (free === undefined || estimate === undefined || free >= estimate.bytes * margin) return
  console.warn(
    `${formatBytes(free)} are free in ${backupDir}, and the backup needs about ${formatBytes(estimate.bytes)}, by ${estimate.basis}: it may not fit.`,
  )
}

async function assertMemoryHolds(memoryDir: string, database: number | undefined): Promise<void> {
  const found = await statfs(memoryDir).catch(() => undefined)
  if (found === undefined || database === undefined) return
  const free = found.bavail * found.bsize
  if (free >= database * (1 - roundingError)) return
  throw new OperatorError(
    `${memoryDir} (MEMORY_DIR) is too small: ${formatBytes(free)} are free, and the etcd snapshot has about ${formatBytes(database)}.`,
    {
      means: 'The plain snapshot lies in memory only. Nothing was written.',
      next: `Set MEMORY_DIR to a larger tmpfs, or enlarge it: mount -o remount,size=${Math.ceil((database * 1.5) / 1e6)}M ${memoryDir}`,
    },
  )
}
