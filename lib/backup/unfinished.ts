import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { formatSeconds } from '../migration/clock.ts'
import { formatBytes } from '../migration/console/bytes.ts'
import type { Migration } from '../migration/migration.ts'
import { sizeOf } from './disk.ts'
import { partialSuffix } from './manifest.ts'
import { livingWriter } from './writer.ts'

/** A folder NAME.partial: what an interrupted backup has left, or what somebody is writing at this moment. */
export interface UnfinishedBackup {
  path: string
  bytes: number
  /** undefined when the name does not tell */
  begunAt: Date | undefined
  /** whether it is the named cluster's */
  own: boolean
  /** who may be writing it */
  writer: string | undefined
}

/**
 * The name of a backup or a final set of a cluster, as archiveName makes it: `a-b-20251204T120000Z` is not one of the cluster `a`.
 * @param name without a suffix such as .partial
 */
export function isNameOf(cluster: string, name: string): boolean {
  return name.startsWith(`${cluster}-`) && /^\d{8}T\d{6}Z(-final)?$/.test(name.slice(cluster.length + 1))
}

/** The unfinished backups in BACKUP_DIR, oldest name first. */
export async function findUnfinished(backupDir: string, cluster: string): Promise<UnfinishedBackup[]> {
  const names = await readdir(backupDir).catch((): string[] => [])
  const partial = names.filter((name) => name.endsWith(partialSuffix)).sort()
  return Promise.all(
    partial.map(async (name) => {
      const path = join(backupDir, name)
      const bare = name.slice(0, -partialSuffix.length)
      const own = isNameOf(cluster, bare)
      return { path, bytes: await sizeOf(path), begunAt: timeIn(bare), own, writer: livingWriter(path) }
    }),
  )
}

/**
 * Names every unfinished backup in BACKUP_DIR and offers to remove those that are this cluster's and that nobody is writing: the operator is
 * asked, or has said so before with --clean. Without a terminal and without the flag they stay.
 * @param ours the one that this run goes on with, or removes by itself
 */
export async function offerToClean(migration: Migration, ours: string | undefined): Promise<void> {
  const { settings, console, flags, prompt, dryRun } = migration
  const found = (await findUnfinished(settings.backupDir, settings.clusterName)).filter(({ path }) => path !== ours)
  for (const backup of found) console.warn(describe(backup, migration.clock.now()))
  const removable = found.filter(({ own, writer }) => own && writer === undefined)
  if (removable.length === 0) return
  const these = removable.length === 1 ? 'it' : `these ${removable.length}`
  const bytes = formatBytes(removable.reduce((sum, backup) => sum + backup.bytes, 0))
  const asked = flags.clean === true || dryRun || flags.json === true ? undefined : await ask(prompt, these, bytes)
  if (flags.clean !== true && asked !== true) {
    if (asked === undefined) console.info(`To remove ${these} (${bytes}): task migrate:backup -- --clean`)
    return
  }
  for (const { path } of removable) {
    await migration.change(`Remove the unfinished backup ${path}`, {
      apply: () => rm(path, { recursive: true, force: true }),
    })
  }
}

const ask = (prompt: Migration['prompt'], these: string, bytes: string) => prompt.confirm(`Remove ${these} (${bytes})?`)

function describe({ path, bytes, begunAt, own, writer }: UnfinishedBackup, now: Date): string {
  const age = begunAt && `, begun ${formatSeconds((now.getTime() - begunAt.getTime()) / 1000)} ago`
  const what = `${path} (${formatBytes(bytes)}${age ?? ''})`
  if (!own) return `${what} is an unfinished backup of another cluster, and left alone.`
  if (writer === undefined) return `${what} was never finished and is no backup.`
  return `${what} is being written by ${writer}, and left alone. If that is not so any more: rm -r ${path}`
}

function timeIn(name: string): Date | undefined {
  const found = /(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z(-final)?$/.exec(name)
  if (!found) return undefined
  const [, year, month, day, hour, minute, second] = found
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
}
