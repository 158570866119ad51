import { readdir } from 'node:fs/promises'
import { basename, join, relative, sep } from 'node:path'
import { atMostEvery } from '../migration/clock.ts'
import { formatBytes } from '../migration/console/bytes.ts'
import type { Json, Migration } from '../migration/migration.ts'
import type { Settings } from '../settings.ts'
import { storedContent } from './archive.ts'
import { type CopiedFile, type CopyPlace, type CopySource, hashOf } from './copy-place.ts'
import { manifestFile, readManifest, sumsFile } from './manifest.ts'

/** The place of BACKUP_COPY_TO: s3://BUCKET/PREFIX, or a folder. The S3 client is only loaded when it is needed. */
export async function openCopyPlace(settings: Pick<Settings, 'backupDir'>, backupCopyTo: string): Promise<CopyPlace> {
  if (backupCopyTo.startsWith('s3://')) {
    const { bucketPlace } = await import('./copy-s3.ts')
    return bucketPlace(backupCopyTo, process.env)
  }
  const { folderPlace } = await import('./copy-folder.ts')
  return folderPlace(backupCopyTo, settings.backupDir)
}

/**
 * Copies a backup that was read back to BACKUP_COPY_TO, and reads the copy back. When that fails the backup is whole all the same.
 * @param folder undefined in a dry run
 * @throws OperatorError
 */
export async function copyBackup(
  migration: Migration,
  backupCopyTo: string,
  folder: string | undefined,
): Promise<Json> {
  const { settings, console, clock } = migration
  const everySecond = atMostEvery(1000, clock)
  const place = await openCopyPlace(settings, backupCopyTo)
  for (const warning of await place.look()) console.warn(warning)
  const name = folder === undefined ? 'the backup' : basename(folder)
  const copied = await migration.change(`Copy ${name} to ${backupCopyTo} and read the copy back`, {
    apply: async () => {
      if (folder === undefined) throw new Error('a backup is copied before it is there')
      const source = await copySource(folder)
      await place.take(source, (path) => everySecond(() => console.detail(path)))
      return { files: source.files.length, bytes: source.files.reduce((sum, { bytes }) => sum + bytes, 0) }
    },
  })
  if (copied === undefined) return null
  console.info(
    `Copied to ${backupCopyTo}: ${copied.files} files, ${formatBytes(copied.bytes)}, read back and the same.`,
  )
  return copied
}

/** All that is in a backup's folder, with the sums of the manifest; those that stand beside it are hashed here. */
export async function copySource(folder: string): Promise<CopySource> {
  const { files } = await readManifest(folder)
  const known = new Map(files.map(({ path, bytes, sha256 }) => [path, { path, bytes, sha256 }]))
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const paths = entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
  const found = await Promise.all(paths.map(async (path) => known.get(path) ?? hashed(folder, path)))
  const last = (path: string) => [sumsFile, manifestFile].indexOf(path)
  found.sort((a, b) => last(a.path) - last(b.path) || (a.path < b.path ? -1 : 1))
  return { folder, name: basename(folder), files: found }
}

async function hashed(folder: string, path: string): Promise<CopiedFile> {
  const { bytes, sha256 } = await hashOf(storedContent(folder, path))
  return { path, bytes, sha256 }
}
